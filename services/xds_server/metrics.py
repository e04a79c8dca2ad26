"""Prometheus metrics, with Envoy Gateway's names where it has them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SNAPSHOT_CREATE = Counter("xds_snapshot_create_total", "Versions turned into resources.", ["status"])
SNAPSHOT_UPDATE = Counter("xds_snapshot_update_total", "Responses sent, by node.", ["nodeID", "status"])
NACKS = Counter("xds_nack_total", "Responses that a proxy refused.", ["nodeID", "typeURL"])
STREAM_DURATION = Histogram(
    "xds_stream_duration_seconds",
    "How long streams lasted.",
    ["nodeID", "isDeltaStream"],
    buckets=(0.1, 10, 50, 100, 1000, 10000),
)
STREAMS = Gauge("xds_streams", "Streams that are open.", ["isDeltaStream"])
RENDER_SECONDS = Histogram(
    "xds_render_seconds", "From a version's shards to changed resources.", buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
)
EXTENSION_CALLS = Counter("xds_extension_calls_total", "Questions to extension servers.", ["extension", "hook", "outcome"])
EXTENSION_SECONDS = Histogram(
    "xds_extension_seconds",
    "How long extension servers took to answer.",
    ["extension", "hook"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
EXTENSION_REUSED = Counter("xds_extension_reused_total", "Questions that a kept answer served.", ["extension", "hook"])
EXTENSION_FAILING = Gauge("xds_extension_failing", "Questions that an extension server fails to answer.", ["extension"])
