"""The proxy's own listener for Prometheus: it shows the admin interface's statistics and nothing else of it."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]
_TYPE = "type.googleapis.com/envoy."
_COMPRESSION = "envoy.filters.http.compression"


def stats_listener(host: str, port: int, *, compression: str = "", ipv4_compat: bool = False) -> JSON:
    """`compression`: Gzip, Brotli or Zstd, '' for none."""
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    route: JSON = {"match": {"path": "/stats/prometheus", "headers": [get]}, "route": {"cluster": "prometheus_stats"}}
    hosts: JSON = {"name": "prometheus_stats", "domains": ["*"], "routes": [route]}
    filters: list[JSON] = [
        {"name": "envoy.filters.http.router", "typed_config": {"@type": _TYPE + "extensions.filters.http.router.v3.Router"}}
    ]
    if compression:
        hosts["typed_per_filter_config"] = {_COMPRESSION: _per_route({"disabled": True})}
        route["typed_per_filter_config"] = {_COMPRESSION: _per_route({"overrides": {"response_direction_config": {}}})}
        filters.insert(0, _compressor(compression))
    manager = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "eg-stats-http",
        "normalize_path": True,
        "route_config": {"name": "local_route", "virtual_hosts": [hosts]},
        "http_filters": filters,
    }
    address: JSON = {"address": host, "port_value": port} | ({"ipv4_compat": True} if ipv4_compat else {})
    return {
        "name": f"envoy-gateway-proxy-stats-{host}-{port}",
        "address": {"socket_address": address},
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def stats_cluster(admin_host: str, admin_port: int) -> JSON:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": admin_host, "port_value": admin_port}}}}
    return {
        "name": "prometheus_stats",
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {"cluster_name": "prometheus_stats", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _per_route(config: JSON) -> JSON:
    return {"@type": _TYPE + "extensions.filters.http.compressor.v3.CompressorPerRoute", **config}


def _compressor(kind: str) -> JSON:
    name = kind.lower()
    library = {
        "name": "text_optimized",
        "typed_config": {"@type": f"{_TYPE}extensions.compression.{name}.compressor.v3.{kind}"},
    }
    return {
        "name": "envoy.filters.http.compressor",
        "typed_config": {"@type": _TYPE + "extensions.filters.http.compressor.v3.Compressor", "compressor_library": library},
    }
