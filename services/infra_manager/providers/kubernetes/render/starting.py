"""How Envoy is started in a pod: its bootstrap and arguments."""

from __future__ import annotations

from typing import Any

import yaml

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes.render.naming import Fleet
from services.infra_manager.providers.kubernetes.render.plan import JSON
from shared.bootstrap.custom import BadBootstrap, customise
from shared.bootstrap.default import Options, default
from shared.bootstrap.sinks import usable
from shared.core import durations, quantities

STATS_PORT, SHUTDOWN_PORT, READY_PORT = 19001, 19002, 19003
POD_NAMESPACE, POD_NAME, ZONE = "ENVOY_POD_NAMESPACE", "ENVOY_POD_NAME", "ENVOY_SERVICE_ZONE"
DRAIN_SECONDS = 60.0
HEAP_SHARE = 0.8
"""Of a container's memory limit."""
_EVERYWHERE = {"IPv6": "::", "DualStack": "::"}


def prometheus(fleet: Fleet) -> bool:
    return not (_metrics(fleet).get("prometheus") or {}).get("disable")


def arguments(fleet: Fleet, container: JSON) -> list[str]:
    """Envoy's command line. CannotRender."""
    spec = fleet.spec
    levels = (spec.get("logging") or {}).get("level") or {}
    components = ",".join(sorted(f"{name}:{level}" for name, level in levels.items() if name != "default" and level))
    concurrency = spec.get("concurrency")
    return [
        *("--service-cluster", fleet.cluster),
        *("--service-node", f"$({POD_NAME})"),
        *("--config-yaml", bootstrap(fleet, container)),
        *("--log-level", levels.get("default") or "warn"),
        "--cpuset-threads",
        *("--drain-strategy", "immediate"),
        *(("--concurrency", str(concurrency)) if concurrency is not None else ()),
        *("--component-log-level", components or "misc:error"),
        *("--drain-time-s", f"{drain_seconds(fleet):.0f}"),
        *(str(a) for a in spec.get("extraArgs") or ()),
    ]


def bootstrap(fleet: Fleet, container: JSON) -> str:
    """YAML, to be read by people as well. CannotRender."""
    options, metrics, family = fleet.options, _metrics(fleet), fleet.spec.get("ipFamily") or ""
    base = default(
        Options(
            xds_host=options.xds,
            xds_port=options.xds_port,
            admin_host="::1" if family == "IPv6" else "127.0.0.1",
            local_cluster=fleet.cluster if options.zones else "",
            zone=f"$({ZONE})",
            stats_host=_EVERYWHERE.get(family, "0.0.0.0"),
            stats_port=STATS_PORT if prometheus(fleet) else 0,
            stats_compression=((metrics.get("prometheus") or {}).get("compression") or {}).get("type") or "",
            ipv4_compat=family in _EVERYWHERE,
            matches=tuple((m.get("type") or "Exact", m["value"]) for m in metrics.get("matches") or ()),
            max_heap_bytes=_max_heap(container),
            sinks=usable(fleet.proxy.resolved_metric_sinks),
            by_token=fleet.by_token,
        )
    )
    try:
        made = customise(base, fleet.spec.get("bootstrap"))
    except BadBootstrap as e:
        raise CannotRender(f"spec.bootstrap: {e}") from e
    text: str = yaml.dump(made, Dumper=_Dumper, sort_keys=False, width=10_000)
    return text


def drain_seconds(fleet: Fleet) -> float:
    found = shutdown_seconds(fleet, "drainTimeout")
    return DRAIN_SECONDS if found is None else found


def shutdown_seconds(fleet: Fleet, field: str) -> float | None:
    """A duration of `spec.shutdown`. CannotRender."""
    text = (fleet.spec.get("shutdown") or {}).get(field)
    if text is None:
        return None
    try:
        return durations.parse(text) / 1e9
    except ValueError as e:
        raise CannotRender(f"spec.shutdown.{field}: {e}") from e


def _metrics(fleet: Fleet) -> JSON:
    return (fleet.spec.get("telemetry") or {}).get("metrics") or {}


def _max_heap(container: JSON) -> int:
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    if limit is None:
        return 0
    try:
        return int(quantities.parse(limit) * 8 / 10)
    except ValueError as e:
        raise CannotRender(f"container.resources.limits.memory: {e}") from e


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes out what stands in several places: aliases read badly."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
