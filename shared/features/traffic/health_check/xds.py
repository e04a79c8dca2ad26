"""Health checks in Envoy: active ones, outlier detection and the panic threshold of a cluster, and what an endpoint says of its own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from shared.features.parts.xds_values import Unrenderable, duration, given, wrapped
from shared.features.traffic.health_check.ir import ActiveCheck, HealthCheck, HealthCheckLog, PassiveCheck, Payload
from shared.ir.destination import Endpoint
from shared.xds.message import Fields, pack

_ENVOYS_PANIC_THRESHOLD = 50
_ENFORCED = 100
# what the CRD says where nothing is said, and Envoy insists on or has other ideas of
TIMEOUT, INTERVAL, UNHEALTHY_THRESHOLD, HEALTHY_THRESHOLD = "1s", "3s", 3, 1


def on_cluster(check: HealthCheck | None, hostname: str, log: HealthCheckLog | None) -> Fields:
    """Fields of the cluster; `hostname` is the route's, sent where the check names none."""
    if check is None:
        return {}
    out: Fields = {}
    if check.panic_threshold is not None and check.panic_threshold != _ENVOYS_PANIC_THRESHOLD:
        out["common_lb_config"] = {"healthy_panic_threshold": {"value": check.panic_threshold}}
    if check.active is not None:
        out["health_checks"] = [_active(check.active, hostname, log)]
    if check.passive is not None:
        out["outlier_detection"] = _passive(check.passive)
    return out


def on_endpoint(check: HealthCheck | None, endpoint: Endpoint) -> Fields | None:
    """The endpoint's health_check_config: its own host unless the check names one, and the port to check."""
    active = check.active if check is not None else None
    if active is None:
        return None
    named = active.http is not None and active.http.host not in ("", "*")
    host = endpoint.hostname if endpoint.hostname and not named else None
    port = active.overrides.port if active.overrides is not None else None
    return given({"hostname": host, "port_value": port}) or None


def _active(active: ActiveCheck, hostname: str, log: HealthCheckLog | None) -> Fields:
    out = given(
        {
            "timeout": duration(active.timeout or TIMEOUT),
            "interval": duration(active.interval or INTERVAL),
            "initial_jitter": duration(active.initial_jitter) if active.initial_jitter is not None else None,
            "unhealthy_threshold": wrapped(UNHEALTHY_THRESHOLD if active.unhealthy_threshold is None else active.unhealthy_threshold),
            "healthy_threshold": wrapped(HEALTHY_THRESHOLD if active.healthy_threshold is None else active.healthy_threshold),
        }
    )
    if active.http is not None:
        http = active.http
        out["http_health_check"] = given(
            {
                "host": http.host or hostname,
                "path": http.path,
                "method": http.method,
                "expected_statuses": _ranges(http.expected_statuses) or None,
                "retriable_statuses": _ranges(http.retriable_statuses) or None,
                "receive": [_payload(http.expected_response)] if http.expected_response is not None else None,
                "send": _payload(http.request_body) if http.request_body is not None else None,
            }
        )
    elif active.tcp is not None:
        tcp = active.tcp
        out["tcp_health_check"] = given(
            {
                "send": _payload(tcp.send) if tcp.send is not None else None,
                "receive": [_payload(tcp.receive)] if tcp.receive is not None else None,
            }
        )
    elif active.grpc is not None:
        out["grpc_health_check"] = given({"service_name": active.grpc.service})
    return out | _logged(active.backend_health_check_log or log)


def _logged(log: HealthCheckLog | None) -> Fields:
    if log is None:
        return {}
    sink = "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"
    return {
        "always_log_health_check_failures": log.always_log_health_check_failures,
        "always_log_health_check_success": log.always_log_health_check_success,
        "event_logger": [
            {"name": "envoy.health_check.event_sinks.file", "typed_config": pack(sink, {"event_log_path": f.path})} for f in log.file_sinks
        ],
    }


def _ranges(statuses: Iterable[int]) -> list[Fields]:
    """Int64Ranges, which leave out their end, of single statuses."""
    out: list[Fields] = []
    for status in sorted(statuses):
        if out and out[-1]["end"] == status:
            out[-1]["end"] = status + 1
        else:
            out.append({"start": status, "end": status + 1})
    return out


def _payload(payload: Payload) -> Fields:
    if payload.binary:
        try:
            return {"binary": base64.b64decode(payload.binary, validate=True)}
        except binascii.Error as e:
            raise Unrenderable(f"health check: the payload is not base64: {e}") from e
    # Envoy takes text as hexadecimal digits
    return {"text": payload.text.encode().hex()} if payload.text else {}


def _passive(passive: PassiveCheck) -> Fields:
    counts = {
        "max_ejection_percent": passive.max_ejection_percent or None,
        "consecutive_local_origin_failure": passive.consecutive_local_origin_failures,
        "consecutive_5xx": passive.consecutive_5xx_errors,
        "consecutive_gateway_failure": passive.consecutive_gateway_errors,
        "enforcing_consecutive_gateway_failure": _ENFORCED if passive.consecutive_gateway_errors is not None else None,
        "failure_percentage_threshold": passive.failure_percentage_threshold,
        "enforcing_failure_percentage": _ENFORCED if passive.failure_percentage_threshold is not None else None,
        "always_eject_one_host": passive.always_eject_one_endpoint,
    }
    out: Fields = {"interval": duration(passive.interval or INTERVAL)}
    if passive.base_ejection_time is not None:
        out["base_ejection_time"] = duration(passive.base_ejection_time)
    if passive.split_external_local_origin_errors:
        out["split_external_local_origin_errors"] = True
    return out | {name: wrapped(n) for name, n in counts.items() if n is not None}
