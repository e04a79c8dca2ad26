"""How backends' names are resolved, as a BackendTrafficPolicy writes it."""

from __future__ import annotations

from typing import Literal

from shared.api.base import Spec


class DnsSpec(Spec, frozen=True):
    dns_refresh_rate: str | None = None
    respect_dns_ttl: bool | None = None
    lookup_family: Literal["IPv4", "IPv6", "IPv4Preferred", "IPv6Preferred", "IPv4AndIPv6"] | None = None
