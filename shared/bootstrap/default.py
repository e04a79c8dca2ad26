"""The configuration that an Envoy of ours starts with: its own admin interface, and where its real configuration comes from.

Same content as Envoy Gateway v1.9's default bootstrap, so what users patch is there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.bootstrap.sinks import sink, sink_cluster
from shared.bootstrap.statistics import stats_cluster, stats_listener
from shared.ir.telemetry import MetricSink

JSON = dict[str, Any]
XDS_CLUSTER = "xds_cluster"
XDS_SERVER_NAME = "envoy-gateway"
"""A name in the control plane's certificate that proxies insist on."""
_TYPE = "type.googleapis.com/envoy."


class Options(NamedTuple):
    """What differs from proxy to proxy.

    `sds_dir`: folder of the files that `sds_files` makes; '' means plaintext to the control plane (loopback only).
    `admin_port` 0 lets Envoy choose. `stats_port` 0: no Prometheus listener.
    `local_cluster` '' leaves zone-aware routing out, and (unless there is a `zone`) the tags of its statistics.
    `matches`: EnvoyProxy's telemetry.metrics.matches, (type, value). `stats_compression`: Gzip, Brotli, Zstd or ''.
    `by_token`: the proxy shows the token of its service account (in a file of `sds_dir`) in place of a certificate.
    """

    xds_host: str = "envoy-gateway"
    xds_port: int = 18000
    sds_dir: str = "/sds"
    admin_host: str = "127.0.0.1"
    admin_port: int = 19000
    local_cluster: str = "local_cluster"
    stats_host: str = "0.0.0.0"
    stats_port: int = 19001
    zone: str = ""
    matches: tuple[tuple[str, str], ...] = ()
    max_heap_bytes: int = 0
    stats_compression: str = ""
    ipv4_compat: bool = False
    sinks: tuple[MetricSink, ...] = ()
    by_token: bool = False


def default(options: Options) -> JSON:
    """The bootstrap as Envoy's JSON, snake_case field names."""
    made: JSON = {
        "admin": {
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {"@type": _TYPE + "extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"},
                }
            ],
            "address": _socket(options.admin_host, options.admin_port),
        },
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "stats_config": _stats_config(options),
        "layered_runtime": {
            "layers": [
                {
                    "name": "global_config",
                    "static_layer": {"re2.max_program_size.error_level": 4294967295, "re2.max_program_size.warn_level": 1000},
                }
            ]
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER}}],
                "set_node_on_first_message_only": True,
            },
            "lds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [xds_cluster(options)]},
        "overload_manager": _overload(options.max_heap_bytes),
    }
    if options.sinks:
        made["stats_sinks"] = [sink(n, each) for n, each in enumerate(options.sinks)]
        made["static_resources"]["clusters"][:0] = [sink_cluster(n, each) for n, each in enumerate(options.sinks)]
    if options.zone:
        made["node"] = {"locality": {"zone": options.zone}}
    if options.local_cluster:
        made["cluster_manager"] = {"local_cluster_name": options.local_cluster}
        made["static_resources"]["clusters"].insert(0, _local_cluster(options.local_cluster))
    if options.stats_port:
        listener = stats_listener(
            options.stats_host, options.stats_port, compression=options.stats_compression, ipv4_compat=options.ipv4_compat
        )
        made["static_resources"]["listeners"] = [listener]
        made["static_resources"]["clusters"].insert(0, stats_cluster(options.admin_host, options.admin_port))
    return made


def xds_cluster(options: Options) -> JSON:
    made: JSON = {
        "name": XDS_CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": "10s",
        "load_assignment": {
            "cluster_name": XDS_CLUSTER,
            "endpoints": [
                {
                    "load_balancing_weight": 1,
                    "lb_endpoints": [
                        {"load_balancing_weight": 1, "endpoint": {"address": _socket(options.xds_host, options.xds_port)}},
                    ],
                }
            ],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}},
            }
        },
    }
    if options.sds_dir:
        tls: JSON = {
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "validation_context_sds_secret_config": _sds("xds_trusted_ca", f"{options.sds_dir}/{TRUSTED_CA_FILE}"),
        }
        if not options.by_token:
            tls["tls_certificate_sds_secret_configs"] = [_sds("xds_certificate", f"{options.sds_dir}/{CERTIFICATE_FILE}")]
        made["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _TYPE + "extensions.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": tls},
        }
    if options.by_token:
        protocol = made["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        protocol["http_filters"] = _token_filters(f"{options.sds_dir}/{TOKEN_FILE}")
    return made


def _token_filters(path: str) -> list[JSON]:
    credential = {
        "name": "envoy.http.injected_credentials.generic",
        "typed_config": {"@type": _TYPE + "extensions.http.injected_credentials.generic.v3.Generic", "credential": _sds(TOKEN, path)},
    }
    injector = {
        "@type": _TYPE + "extensions.filters.http.credential_injector.v3.CredentialInjector",
        "credential": credential,
        "overwrite": True,
    }
    codec = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
    return [
        {"name": "envoy.filters.http.credential_injector", "typed_config": injector},
        {"name": codec, "typed_config": {"@type": "type.googleapis.com/" + codec}},
    ]


CERTIFICATE_FILE = "xds-certificate.json"
TRUSTED_CA_FILE = "xds-trusted-ca.json"
TOKEN_FILE = "xds_service_account_token.json"
TOKEN = "jwt-sa-bearer"
"""Name of the secret that holds a proxy's service account token."""


def sds_files(cert_dir: str) -> dict[str, JSON]:
    """Name -> content of the files through which Envoy loads, and reloads, its certificate and authority from `cert_dir`."""
    secret = _TYPE + "extensions.transport_sockets.tls.v3.Secret"
    watched = {"path": cert_dir}
    certificate = {
        "certificate_chain": {"filename": f"{cert_dir}/tls.crt"},
        "private_key": {"filename": f"{cert_dir}/tls.key"},
        "watched_directory": watched,
    }
    authority = {
        "trusted_ca": {"filename": f"{cert_dir}/ca.crt"},
        "watched_directory": watched,
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": XDS_SERVER_NAME}}],
    }
    return {
        CERTIFICATE_FILE: {"resources": [{"@type": secret, "name": "xds_certificate", "tls_certificate": certificate}]},
        TRUSTED_CA_FILE: {"resources": [{"@type": secret, "name": "xds_trusted_ca", "validation_context": authority}]},
    }


def token_sds_file(token_path: str) -> JSON:
    """Content of the file through which Envoy loads its service account's token."""
    secret = {"@type": _TYPE + "extensions.transport_sockets.tls.v3.Secret", "name": TOKEN}
    return {"resources": [{**secret, "generic_secret": {"secret": {"filename": token_path}}}]}


def _socket(host: str, port: int) -> JSON:
    return {"socket_address": {"address": host, "port_value": port}}


def _sds(name: str, path: str) -> JSON:
    return {"name": name, "sds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"}}


_ZONE_TAGS = (
    (r"\.zone(\.(([^\.]+)\.))", "from_zone"),
    (r"\.zone\.[^\.]+\.(([^\.]+)\.)", "to_zone"),
)
"""Envoy tries each tag on each name of its statistics, which is most of a cold start with many clusters: none for names that never come."""
_TAGS = (
    (r"^cluster(\..+\.(.+))\.total_match_count$", "socket_match_name"),
    (r"circuit_breakers\.((.+?)\.).+", "priority"),
)
_MATCHERS = {"Exact": "exact", "Prefix": "prefix", "Suffix": "suffix"}


def _stats_config(options: Options) -> JSON:
    tags = (*(_ZONE_TAGS if options.zone or options.local_cluster else ()), *_TAGS)
    made: JSON = {"use_all_default_tags": True, "stats_tags": [{"regex": r, "tag_name": t} for r, t in tags]}
    if options.matches:
        patterns = [{_MATCHERS[k]: v} if k in _MATCHERS else {"safe_regex": {"regex": v}} for k, v in options.matches]
        made["stats_matcher"] = {"inclusion_list": {"patterns": patterns}}
    return made


def _overload(max_heap_bytes: int) -> JSON:
    connections = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": _TYPE + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": 50000,
        },
    }
    made: JSON = {"refresh_interval": "0.25s", "resource_monitors": [connections]}
    if max_heap_bytes:
        heap = "envoy.resource_monitors.fixed_heap"
        config = {"@type": _TYPE + "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", "max_heap_size_bytes": max_heap_bytes}
        made["resource_monitors"].append({"name": heap, "typed_config": config})
        made["actions"] = [
            {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": heap, "threshold": {"value": at}}]}
            for action, at in (("shrink_heap", 0.95), ("stop_accepting_requests", 0.98))
        ]
    return made


def _local_cluster(name: str) -> JSON:
    least_request = {
        "@type": _TYPE + "extensions.load_balancing_policies.least_request.v3.LeastRequest",
        "locality_lb_config": {"zone_aware_lb_config": {"min_cluster_size": 1}},
    }
    policy = {"name": "envoy.load_balancing_policies.least_request", "typed_config": least_request}
    return {
        "name": name,
        "type": "EDS",
        "connect_timeout": "10s",
        "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}, "service_name": name},
        "load_balancing_policy": {"policies": [{"typed_extension_config": policy}]},
    }
