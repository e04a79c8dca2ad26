"""DNS in Envoy: which addresses are looked up, how often, and the cache that dynamic resolvers share."""

from __future__ import annotations

from shared.features.parts.xds_values import duration, nanoseconds
from shared.features.traffic.dns.ir import Dns
from shared.xds.message import Fields

REFRESH = "30s"
_ASKED = {"IPv4": "V4_ONLY", "IPv6": "V6_ONLY", "IPv6Preferred": "AUTO", "IPv4AndIPv6": "ALL"}
_OF_PROXY = {"IPv4": "V4_ONLY", "IPv6": "V6_ONLY"}


def family(dns: Dns | None, ip_family: str | None) -> str:
    """DnsLookupFamily: a proxy of one family looks up nothing else; otherwise the policy decides."""
    asked = _ASKED.get(dns.lookup_family or "", "V4_PREFERRED") if dns is not None and dns.lookup_family is not None else None
    if ip_family == "DualStack":
        return asked or "ALL"
    return _OF_PROXY.get(ip_family or "") or asked or "V4_PREFERRED"


def _refresh(dns: Dns | None) -> str:
    return dns.dns_refresh_rate if dns is not None and dns.dns_refresh_rate is not None else REFRESH


def on_cluster(dns: Dns | None, ip_family: str | None) -> Fields:
    """DnsCluster of a cluster whose endpoints are names."""
    ttl = dns.respect_dns_ttl if dns is not None and dns.respect_dns_ttl is not None else True
    return {"dns_refresh_rate": duration(_refresh(dns)), "respect_dns_ttl": ttl, "dns_lookup_family": family(dns, ip_family)}


def cache(dns: Dns | None, ip_family: str | None) -> Fields:
    """DnsCacheConfig of a dynamic resolver; Envoy refuses two caches of one name that differ."""
    refresh = _refresh(dns)
    refresh = refresh if nanoseconds(refresh) > 0 else REFRESH
    looked_up = family(dns, ip_family)
    of = dns.name if dns is not None and dns.name else "default"
    return {
        "name": f"envoy-gateway-dfp-cache-{looked_up.lower()}-{nanoseconds(refresh) // 10**6}ms-{of}",
        "dns_lookup_family": looked_up,
        "dns_refresh_rate": duration(refresh),
    }
