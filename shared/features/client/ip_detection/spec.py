"""How a listener finds out who the client is, as a ClientTrafficPolicy writes it; one of the fields."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec


class XForwardedForSpec(Spec, frozen=True):
    """Either hops that are trusted by their number, or by their addresses."""

    num_trusted_hops: int | None = None
    trusted_cidrs: tuple[str, ...] | None = msgspec.field(default=None, name="trustedCIDRs")
    disable_x_forwarded_for_append: bool | None = None


class CustomHeaderSpec(Spec, frozen=True):
    name: str
    fail_closed: bool | None = None


class DirectSourceIpSpec(Spec, frozen=True):
    pass


class ClientIpDetectionSpec(Spec, frozen=True):
    x_forwarded_for: XForwardedForSpec | None = None
    custom_header: CustomHeaderSpec | None = None
    direct_source_ip: DirectSourceIpSpec | None = msgspec.field(default=None, name="directSourceIP")
