"""The pieces of Envoy's configuration that an AI route needs, as plain data. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any

from examples.ai_gateway.kinds import BackendSpec
from examples.ai_gateway.target import NAMESPACE, TARGET_HEADER
from shared.xds.message import Fields, build, pack, struct

FILTER = "ai-gateway"
"""Name of the filter in listeners; disabled there, and set free by AI routes."""
PROCESSOR = "ai-gateway/processor"
"""Name of the cluster that the processor is."""
LARGEST = 32 << 20
"""Bytes of a request, which is read as a whole."""
PHASE = "x-ai-gateway-phase"
UPSTREAM = "upstream"
_PROCESSOR = "envoy.extensions.filters.http.ext_proc.v3"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_SEND, _SKIP = "SEND", "SKIP"


def _service(phase: str) -> Fields:
    return {
        "envoy_grpc": {"cluster_name": PROCESSOR},
        "timeout": {"seconds": 5},
        "initial_metadata": [{"key": PHASE, "value": phase}],
    }


def front_filter() -> Fields:
    """In listeners: reads which model is asked for, and has the route chosen anew."""
    mode = {"request_header_mode": _SEND, "request_body_mode": "BUFFERED", "response_header_mode": _SKIP}
    config = {"grpc_service": _service("front"), "processing_mode": mode, "message_timeout": {"seconds": 5}}
    return {"name": FILTER, "disabled": True, "typed_config": pack(f"{_PROCESSOR}.ExternalProcessor", config)}


def per_route() -> Fields:
    """Sets the filter free."""
    return pack(f"{_PROCESSOR}.ExtProcPerRoute", {"overrides": {}})


def upstream_filters() -> list[Fields]:
    """In clusters, for each attempt: tells the processor which endpoint it is, which puts request and response into its words."""
    header = {"key": TARGET_HEADER, "value": f'%UPSTREAM_METADATA(["{NAMESPACE}", "target"])%'}
    mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    mode = {
        "request_header_mode": _SEND,
        "request_body_mode": "BUFFERED",
        "response_header_mode": _SEND,
        "response_body_mode": "STREAMED",
        "response_trailer_mode": _SKIP,
    }
    config = {
        "grpc_service": _service(UPSTREAM),
        "processing_mode": mode,
        "message_timeout": {"seconds": 5},
        "metadata_options": {"receiving_namespaces": {"untyped": [NAMESPACE]}},
    }
    told = pack("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {"mutations": {"request_mutations": [mutation]}})
    return [
        {"name": f"{FILTER}-target", "typed_config": told},
        {"name": FILTER, "typed_config": pack(f"{_PROCESSOR}.ExternalProcessor", config)},
        {"name": "upstream-codec", "typed_config": pack("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec")},
    ]


def http_options(before: Any, http2: bool) -> Any:
    """The protocol options of a cluster, with the filters; `before` is what there was, or None. `http2`: it is the processor itself."""
    options: Any = before if before is not None else build(_HTTP_OPTIONS, {})
    options.ClearField("http_filters")
    if http2:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    if options.WhichOneof("upstream_protocol_options") is None:
        options.explicit_http_config.http_protocol_options.SetInParent()
    options.http_filters.extend(
        build("envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter", f) for f in upstream_filters()
    )
    return options


def locality(priority: int, spec: BackendSpec, told: str, key: str) -> Fields:
    """A backend as the endpoints of its priority. `key` is the endpoint's own among a cluster's transport sockets."""
    filter_metadata = {NAMESPACE: struct({"target": told}), "envoy.transport_socket_match": struct({"backend": key})}
    address = {"socket_address": {"address": spec.endpoint.host, "port_value": spec.endpoint.port}}
    hostname = (spec.tls.hostname if spec.tls is not None else None) or spec.endpoint.host
    endpoint = {"endpoint": {"address": address, "hostname": hostname}, "metadata": {"filter_metadata": filter_metadata}}
    return {"priority": priority, "lb_endpoints": [endpoint]}


def transport_socket(spec: BackendSpec, key: str) -> Fields:
    """How a backend is connected to: TLS with its name checked, or plain."""
    if spec.tls is None:
        plain = {"name": "plain", "typed_config": pack("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")}
        return {"name": key, "match": struct({"backend": key}), "transport_socket": plain}
    hostname = spec.tls.hostname or spec.endpoint.host
    own = spec.tls.ca_certificate
    authorities = {"inline_string": own} if own is not None else {"filename": _SYSTEM_AUTHORITIES}
    expected = [{"san_type": "IP_ADDRESS" if _is_address(hostname) else "DNS", "matcher": {"exact": hostname}}]
    validation = {"trusted_ca": authorities, "match_typed_subject_alt_names": expected}
    context = {
        **({} if _is_address(hostname) else {"sni": hostname}),
        "common_tls_context": {"validation_context": validation, "alpn_protocols": ["http/1.1"]},
    }
    tls = {"name": "tls", "typed_config": pack("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", context)}
    return {"name": key, "match": struct({"backend": key}), "transport_socket": tls}


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def retry_policy(backends: int) -> Fields:
    """The next backend, when one fails before it has begun to answer."""
    priorities = {"update_frequency": 1}
    name = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    return {
        "retry_on": "5xx,reset,connect-failure,refused-stream,retriable-status-codes",
        "retriable_status_codes": [429],
        "num_retries": {"value": backends - 1},
        "retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": pack(name, priorities)},
        "retry_back_off": {"base_interval": {"nanos": 1_000_000}, "max_interval": {"nanos": 10_000_000}},
    }


def processor_cluster(host: str, port: int) -> Fields:
    address = {"socket_address": {"address": host, "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    options: Fields = {"explicit_http_config": {"http2_protocol_options": {}}}
    return {
        "name": PROCESSOR,
        "type": "STRICT_DNS",
        "connect_timeout": {"seconds": 2},
        "load_assignment": {"cluster_name": PROCESSOR, "endpoints": endpoints},
        "typed_extension_protocol_options": {_HTTP_OPTIONS: pack(_HTTP_OPTIONS, options)},
    }
