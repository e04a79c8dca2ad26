"""Access logs of a fleet, as its EnvoyProxy asks: a row a sink's kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from services.translator.stages.collectors import Telemeter, Unusable, destination, traffic
from shared.api.telemetry import AccessLogFormat, AccessLogSetting, AccessLogSink, ProxyAccessLog
from shared.features.parts.cel import cel_fault
from shared.incremental import Db
from shared.ir.gateway import AccessLog, JsonAccessLog, TextAccessLog
from shared.ir.match import MapEntry
from shared.ir.telemetry import AlsAccessLog, AlsHttp, HttpHeader, OpenTelemetryAccessLog

_DEFAULT = "/dev/stdout"


class _At(NamedTuple):
    """A sink in its place: settings[i].sinks[j]. `common` are the fields that every kind of log has."""

    i: int
    j: int
    form: AccessLogFormat
    common: dict[str, Any]


def entries(values: dict[str, str]) -> tuple[MapEntry, ...]:
    return tuple(MapEntry(key=k, value=values[k]) for k in sorted(values))


def access_log(db: Db, who: Telemeter, log: ProxyAccessLog | None) -> AccessLog | None:
    """JSON to standard output where nothing is said; None where it is switched off. Raises Unusable."""
    if log is not None and log.disable:
        return None
    if log is None or not log.settings:
        return AccessLog(json=(JsonAccessLog(path=_DEFAULT),))
    made: dict[str, list[Any]] = {}
    for i, setting in enumerate(log.settings):
        for field, one in _setting(db, who, i, setting):
            made.setdefault(field, []).append(one)
    return AccessLog(**{field: tuple(logs) for field, logs in made.items()})


def _setting(db: Db, who: Telemeter, i: int, setting: AccessLogSetting) -> list[tuple[str, Any]]:
    if faults := [fault for each in setting.matches if (fault := cel_fault(each))]:
        raise Unusable("; ".join(faults))
    form = setting.format or AccessLogFormat(type="JSON")
    common: dict[str, Any] = {"cel_matches": setting.matches, "log_type": setting.type}
    if not setting.sinks:
        return [("json", JsonAccessLog(path=_DEFAULT, json=entries(form.json), **common))]
    made = (_SINKS[s.type](db, who, _At(i, j, form, common), s) for j, s in enumerate(setting.sinks) if s.type in _SINKS)
    return [one for one in made if one is not None]


def _file(db: Db, who: Telemeter, at: _At, sink: AccessLogSink) -> tuple[str, Any] | None:
    if sink.file is None:
        return None
    if at.form.type == "Text":
        return "text", TextAccessLog(path=sink.file.path, format=at.form.text, **at.common)
    return "json", JsonAccessLog(path=sink.file.path, json=entries(at.form.json), **at.common)


def _als(db: Db, who: Telemeter, at: _At, sink: AccessLogSink) -> tuple[str, Any] | None:
    als = sink.als
    if als is None:
        return None
    where, _ = destination(db, who, f"accesslog_als_{at.i}_{at.j}", als, "GRPC")
    http = None
    if als.http is not None and als.type == "HTTP":
        http = AlsHttp(
            request_headers=als.http.request_headers,
            response_headers=als.http.response_headers,
            response_trailers=als.http.response_trailers,
        )
    is_text = at.form.type == "Text"
    log = AlsAccessLog(
        name=als.log_name if als.log_name is not None else f"{who.proxy.namespace}/{who.proxy.name}",
        destination=where,
        traffic=traffic(als),
        type=als.type,
        text=at.form.text if is_text else None,
        attributes=() if is_text else entries(at.form.json),
        http=http,
        **at.common,
    )
    return "als", log


def _open_telemetry(db: Db, who: Telemeter, at: _At, sink: AccessLogSink) -> tuple[str, Any] | None:
    spec = sink.open_telemetry
    if spec is None:
        return None
    where, authority = destination(db, who, f"accesslog_otel_{at.i}_{at.j}", spec, "GRPC")
    log = OpenTelemetryAccessLog(
        destination=where,
        traffic=traffic(spec),
        authority=authority,
        text=at.form.text if at.form.type in (None, "Text") else None,
        attributes=entries(at.form.json) if at.form.type in (None, "JSON") else (),
        resource_attributes=entries(spec.resource_attributes if spec.resource_attributes is not None else spec.resources),
        headers=tuple(HttpHeader(name=h.name, value=h.value) for h in spec.headers),
        **at.common,
    )
    return "open_telemetry", log


_SINKS: dict[str, Callable[[Db, Telemeter, _At, AccessLogSink], tuple[str, Any] | None]] = {
    "File": _file,
    "ALS": _als,
    "OpenTelemetry": _open_telemetry,
}
"""Sink type -> the IR's list that it belongs to, and its entry there."""
