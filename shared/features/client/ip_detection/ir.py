"""How a listener finds out who the client is, with Envoy Gateway's field names; one of the fields."""

from __future__ import annotations

from shared.ir.base import IR


class XForwardedFor(IR, frozen=True):
    num_trusted_hops: int | None = None
    trusted_cidrs: tuple[str, ...] | None = None
    disable_x_forwarded_for_append: bool | None = None


class CustomHeader(IR, frozen=True):
    name: str
    fail_closed: bool | None = None


class DirectSourceIp(IR, frozen=True):
    pass


class ClientIpDetection(IR, frozen=True):
    x_forwarded_for: XForwardedFor | None = None
    custom_header: CustomHeader | None = None
    direct_source_ip: DirectSourceIp | None = None
