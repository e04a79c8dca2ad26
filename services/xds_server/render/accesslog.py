"""Access logs: the same list goes on the listener (for connections that never found a route), on the HCM and on the router."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeVar

from services.xds_server.render.tracing import initial_metadata
from shared.ir.gateway import AccessLog, JsonAccessLog, TextAccessLog
from shared.ir.telemetry import AlsAccessLog, OpenTelemetryAccessLog
from shared.xds.message import Fields, pack, struct

Place = Literal["Listener", "Route", "Upstream"]
Log = TextAccessLog | JsonAccessLog | AlsAccessLog | OpenTelemetryAccessLog
L = TypeVar("L", bound=Log)

_FILE = "envoy.access_loggers.file"
_GRPC = "envoy.extensions.access_loggers.grpc.v3"
# which of the fleet's proxies it is, only the proxy itself knows
_POD = {"k8s.namespace.name": "%ENVIRONMENT(ENVOY_POD_NAMESPACE)%", "k8s.pod.name": "%ENVIRONMENT(ENVOY_POD_NAME)%"}

_WITHOUT_QUERY = "%REQ_WITHOUT_QUERY"
_NO_ROUTE: Fields = {"response_flag_filter": {"flags": ["NR"]}}

JSON_FIELDS = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "x-envoy-origin-path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "x-envoy-upstream-service-time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x-forwarded-for": "%REQ(X-FORWARDED-FOR)%",
    "user-agent": "%REQ(USER-AGENT)%",
    "x-request-id": "%REQ(X-REQUEST-ID)%",
    ":authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}


def access_logs(log: AccessLog | None, place: Place) -> list[Fields]:
    """AccessLog messages for one place; a log without a type goes to Listener and Route."""
    if log is None:
        return []
    return [
        *(_entry(each, place, _FILE, _file(each.path, _text(each))) for each in _at(log.text, place)),
        *(_entry(each, place, _FILE, _file(each.path, _json(each))) for each in _at(log.json, place)),
        *(_entry(each, place, *_service(each)) for each in _at(log.als, place)),
        *(_entry(each, place, "envoy.access_loggers.open_telemetry", _open_telemetry(each)) for each in _at(log.open_telemetry, place)),
    ]


def _at(entries: Iterable[L], place: Place) -> Iterable[L]:
    return (e for e in entries if e.log_type == place or (e.log_type is None and place != "Upstream"))


def _entry(entry: Log, place: Place, name: str, config: Fields) -> Fields:
    out: Fields = {"name": name, "typed_config": config}
    filters: list[Fields] = [
        {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": pack("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", {"expression": e}),
            }
        }
        for e in entry.cel_matches
    ]
    # a global log would otherwise say everything twice: the listener adds only what found no route
    if place == "Listener" and entry.log_type is None:
        filters.append(_NO_ROUTE)
    if len(filters) == 1:
        out["filter"] = filters[0]
    elif filters:
        out["filter"] = {"and_filter": {"filters": filters}}
    return out


def _file(path: str, log_format: Fields) -> Fields:
    return pack("envoy.extensions.access_loggers.file.v3.FileAccessLog", {"path": path, "log_format": log_format})


def _service(entry: AlsAccessLog) -> tuple[str, Fields]:
    """Name and configuration of Envoy's own access log service, which has one message for HTTP and one for TCP."""
    common: Fields = {
        "common_config": {
            "log_name": entry.name,
            "grpc_service": {"envoy_grpc": {"cluster_name": entry.destination.name}},
            "transport_api_version": "V3",
        }
    }
    if entry.type == "TCP":
        return "envoy.access_loggers.tcp_grpc", pack(f"{_GRPC}.TcpGrpcAccessLogConfig", common)
    if entry.http is not None:
        common |= {
            "additional_request_headers_to_log": list(entry.http.request_headers),
            "additional_response_headers_to_log": list(entry.http.response_headers),
            "additional_response_trailers_to_log": list(entry.http.response_trailers),
        }
    return "envoy.access_loggers.http_grpc", pack(f"{_GRPC}.HttpGrpcAccessLogConfig", common)


def _open_telemetry(entry: OpenTelemetryAccessLog) -> Fields:
    service: Fields = {"envoy_grpc": {"cluster_name": entry.destination.name, "authority": entry.authority}}
    if entry.headers:
        service["initial_metadata"] = initial_metadata(entry.headers)
    attributes = {e.key: e.value for e in entry.attributes} or ({} if entry.text else JSON_FIELDS)
    config: Fields = {
        "common_config": {"log_name": "otel_envoy_accesslog", "grpc_service": service, "transport_api_version": "V3"},
        "resource_attributes": _pairs({e.key: e.value for e in entry.resource_attributes}),
        "attributes": _pairs(_POD | dict(sorted(attributes.items()))),
    }
    if entry.text:
        config["body"] = {"string_value": entry.text}
    return pack(
        "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        config | _formatters((entry.text or "", *attributes.values())),
    )


def _pairs(values: dict[str, str]) -> Fields:
    """opentelemetry's KeyValueList."""
    return {"values": [{"key": k, "value": {"string_value": v}} for k, v in values.items()]}


def _formatters(texts: Iterable[str]) -> Fields:
    if not any(_WITHOUT_QUERY in t for t in texts):
        return {}
    config = pack("envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery")
    return {"formatters": [{"name": "envoy.formatter.req_without_query", "typed_config": config}]}


def _text(entry: TextAccessLog) -> Fields:
    text = entry.format or ""
    return {"text_format_source": {"inline_string": text}} | _formatters((text,))


def _json(entry: JsonAccessLog) -> Fields:
    fields = {e.key: e.value for e in entry.json} or JSON_FIELDS
    return {"json_format": struct(fields)} | _formatters(fields.values())
