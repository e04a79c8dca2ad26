"""Access logs: the same list goes on the listener (for connections that never found a route), on the HCM and on the router."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeVar

from shared.ir.gateway import AccessLog, JsonAccessLog, TextAccessLog
from shared.xds.message import Fields, pack, struct

Place = Literal["Listener", "Route", "Upstream"]
Log = TypeVar("Log", TextAccessLog, JsonAccessLog)

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
    return [_entry(entry, place, _text(entry)) for entry in _at(log.text, place)] + [
        _entry(entry, place, _json(entry)) for entry in _at(log.json, place)
    ]


def _at(entries: Iterable[Log], place: Place) -> Iterable[Log]:
    return (e for e in entries if e.log_type == place or (e.log_type is None and place != "Upstream"))


def _entry(entry: TextAccessLog | JsonAccessLog, place: Place, log_format: Fields) -> Fields:
    out: Fields = {
        "name": "envoy.access_loggers.file",
        "typed_config": pack("envoy.extensions.access_loggers.file.v3.FileAccessLog", {"path": entry.path, "log_format": log_format}),
    }
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
