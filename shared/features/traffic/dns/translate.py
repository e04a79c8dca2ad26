"""How backends' names are resolved, under the name of the policy that says so."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.dns.ir import Dns
from shared.features.traffic.dns.spec import DnsSpec


def translate(spec: DnsSpec | None, policy: str, faults: Faults) -> Dns | None:
    """`policy`: namespace/name of the policy; '' where it is no policy that says this."""
    if spec is None:
        return None
    return Dns(
        name=policy,
        dns_refresh_rate=faults.inside("DNS").duration("DNSRefreshRate", spec.dns_refresh_rate),
        respect_dns_ttl=spec.respect_dns_ttl,
        lookup_family=spec.lookup_family,
    )
