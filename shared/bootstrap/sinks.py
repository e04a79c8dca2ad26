"""Where a proxy sends its statistics by itself: OpenTelemetry sinks, which only a bootstrap can set."""

from __future__ import annotations

from typing import Any

from shared.ir.telemetry import MetricSink
from shared.ir.tls import UpstreamTls

JSON = dict[str, Any]
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_TYPE = "type.googleapis.com/envoy."
_DETECTORS = "envoy.tracers.opentelemetry.resource_detectors.static_config"


def usable(sinks: tuple[MetricSink, ...]) -> tuple[MetricSink, ...]:
    """Those that lead somewhere."""
    return tuple(s for s in sinks if s.destination.settings and s.destination.settings[0].endpoints)


def sink(index: int, of: MetricSink) -> JSON:
    """One of the bootstrap's `stats_sinks`."""
    service: JSON = {"envoy_grpc": {"cluster_name": _name(index)} | ({"authority": of.authority} if of.authority else {})}
    if of.headers:
        service["initial_metadata"] = [{"key": h.name, "value": h.value} for h in of.headers]
    config: JSON = {"@type": _TYPE + "extensions.stat_sinks.open_telemetry.v3.SinkConfig", "grpc_service": service}
    if of.report_counters_as_deltas:
        config["report_counters_as_deltas"] = True
    if of.report_histograms_as_deltas:
        config["report_histograms_as_deltas"] = True
    if of.resource_attributes:
        detector = _TYPE + "extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig"
        config["resource_detectors"] = [{"name": _DETECTORS, "typed_config": {"@type": detector, "attributes": of.resource_attributes}}]
    return {"name": "envoy.stat_sinks.open_telemetry", "typed_config": config}


def sink_cluster(index: int, of: MetricSink) -> JSON:
    """The cluster that it sends to: statistics are gathered in the proxy, so one collector gets them all."""
    setting = of.destination.settings[0]
    collector = setting.endpoints[0]
    address = {"socket_address": {"address": collector.host, "port_value": collector.port}}
    http2: JSON = {"explicit_http_config": {"http2_protocol_options": {}}}
    made: JSON = {
        "name": _name(index),
        "type": "STRICT_DNS",
        "connect_timeout": "0.250s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {"cluster_name": _name(index), "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                **http2,
            }
        },
    }
    if setting.tls is not None:
        made["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": _tls(setting.tls)}
    return made


def _name(index: int) -> str:
    return f"otel_metric_sink_{index}"


def _tls(tls: UpstreamTls) -> JSON:
    made: JSON = {"@type": _TYPE + "extensions.transport_sockets.tls.v3.UpstreamTlsContext"}
    if tls.sni:
        made["sni"] = tls.sni
    authority: JSON | None = None
    if tls.ca_certificate is not None:
        authority = {"inline_bytes": tls.ca_certificate.certificate}
    elif tls.use_system_trust_store:
        authority = {"filename": SYSTEM_CA_FILE}
    if authority is not None:
        made["common_tls_context"] = {"validation_context": {"trusted_ca": authority}}
    return made
