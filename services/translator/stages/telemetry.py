"""Access logs and statistics of a fleet, as its EnvoyProxy asks; what it asks that is not supported yet is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.api.envoy import AccessLogFormat, AccessLogSetting, EnvoyProxySpec
from shared.ir.gateway import AccessLog, JsonAccessLog, Metrics, TextAccessLog
from shared.ir.match import MapEntry

_DEFAULT = "/dev/stdout"

UNSUPPORTED = (
    "spec.mergeBackends",
    "spec.filterOrder",
    "spec.luaValidation",
    "spec.lua",
    "spec.dynamicModules",
    "spec.geoIP",
    "spec.telemetry.tracing",
    "spec.telemetry.requestID",
    "spec.telemetry.healthCheckLog",
    "spec.telemetry.metrics.sinks",
    "spec.telemetry.metrics.prometheus",
)
"""Fields of an EnvoyProxy that have no effect yet."""


def unsupported_fields(raw: dict[str, Any]) -> tuple[str, ...]:
    """Those of them that an EnvoyProxy object sets, and access log sinks of a kind that is not supported yet."""
    found = [path for path in UNSUPPORTED if _at(raw, path.split(".")) is not None]
    for i, setting in enumerate(_at(raw, ["spec", "telemetry", "accessLog", "settings"]) or ()):
        for j, sink in enumerate(setting.get("sinks") or ()):
            if sink.get("type") != "File":
                found.append(f"spec.telemetry.accessLog.settings[{i}].sinks[{j}].type: {sink.get('type')}")
    return tuple(found)


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def access_log(spec: EnvoyProxySpec) -> AccessLog | None:
    """JSON to standard output where nothing is said; None where it is switched off."""
    log = spec.telemetry.access_log
    if log is not None and log.disable:
        return None
    if log is None or not log.settings:
        return AccessLog(json=(JsonAccessLog(path=_DEFAULT),))
    made = [one for setting in log.settings for one in _setting(setting)]
    return AccessLog(
        text=tuple(m for m in made if isinstance(m, TextAccessLog)), json=tuple(m for m in made if isinstance(m, JsonAccessLog))
    )


def _setting(setting: AccessLogSetting) -> Iterator[TextAccessLog | JsonAccessLog]:
    form = setting.format or AccessLogFormat(type="JSON")
    entries = tuple(MapEntry(key=k, value=form.json[k]) for k in sorted(form.json))
    if not setting.sinks:
        yield JsonAccessLog(path=_DEFAULT, json=entries, cel_matches=setting.matches, log_type=setting.type)
    for sink in setting.sinks:
        if sink.type != "File" or sink.file is None:
            continue
        if form.type == "Text":
            yield TextAccessLog(path=sink.file.path, format=form.text, cel_matches=setting.matches, log_type=setting.type)
        else:
            yield JsonAccessLog(path=sink.file.path, json=entries, cel_matches=setting.matches, log_type=setting.type)


def metrics(spec: EnvoyProxySpec) -> Metrics | None:
    found = spec.telemetry.metrics
    if found is None:
        return None
    return Metrics(
        enable_virtual_host_stats=found.enable_virtual_host_stats,
        enable_per_endpoint_stats=found.enable_per_endpoint_stats,
        enable_request_response_sizes_stats=found.enable_request_response_sizes_stats,
    )
