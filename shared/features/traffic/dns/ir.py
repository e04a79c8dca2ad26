"""How backends' names are resolved; `name` is the policy's, so that equal caches are shared and different ones are not."""

from __future__ import annotations

from shared.ir.base import IR


class Dns(IR, frozen=True):
    name: str = ""
    dns_refresh_rate: str | None = None
    respect_dns_ttl: bool | None = None
    lookup_family: str | None = None
