"""A fleet on this machine is one Envoy: its command line and bootstrap, from the IR alone. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from services.infra_manager.provider import CannotRender
from shared.bootstrap.custom import BadBootstrap, customise
from shared.bootstrap.default import Options, default
from shared.core import durations
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra, ProxyInfra

DRAIN_SECONDS = 60.0
LOG_LEVEL = "warn"


class HostOptions(NamedTuple):
    """What this machine adds: the Envoy binary, where the control plane listens, the folder of SDS files ('' = plaintext)."""

    envoy: str
    xds_host: str
    xds_port: int
    sds_dir: str


class Port(NamedTuple):
    """What an Envoy binds. `transport`: tcp or udp."""

    number: int
    transport: str
    address: str


class ProxySpec(NamedTuple):
    """`arguments` without what each process gets for itself. Two specs with one `key` need no new process."""

    cluster: str
    arguments: tuple[str, ...]
    bootstrap: str
    ports: tuple[Port, ...]
    addresses: tuple[str, ...]
    drain_seconds: float
    key: str


def render(gateway: GatewayRef, infra: Infra, options: HostOptions) -> ProxySpec | None:
    """None where the Gateway is to run nothing; CannotRender."""
    proxy = infra.proxy
    if proxy is None:
        return None
    spec = (proxy.config or {}).get("spec") or {}
    drain = _drain_seconds(spec)
    arguments = (options.envoy, "--service-cluster", proxy.name, *_arguments(spec, drain))
    bootstrap = json.dumps(_bootstrap(spec, options), sort_keys=True)
    key = hashlib.sha256("\0".join((*arguments, bootstrap)).encode()).hexdigest()[:16]
    return ProxySpec(proxy.name, arguments, bootstrap, _ports(proxy, spec), proxy.addresses or (_loopback(spec),), drain, key)


def _bootstrap(spec: dict[str, Any], options: HostOptions) -> dict[str, Any]:
    # no Prometheus listener and no zone-aware routing on a host: the ports of several fleets would collide, and there is one zone
    base = default(
        Options(
            xds_host=options.xds_host,
            xds_port=options.xds_port,
            sds_dir=options.sds_dir,
            admin_host=_loopback(spec),
            admin_port=0,
            local_cluster="",
            stats_port=0,
            matches=_matches(spec),
        )
    )
    try:
        return customise(base, spec.get("bootstrap"))
    except BadBootstrap as e:
        raise CannotRender(f"spec.bootstrap: {e}") from e


def _arguments(spec: dict[str, Any], drain: float) -> tuple[str, ...]:
    levels = (spec.get("logging") or {}).get("level") or {}
    components = ",".join(f"{name}:{level}" for name, level in sorted(levels.items()) if name != "default")
    concurrency = spec.get("concurrency")
    return (
        "--log-level",
        levels.get("default", LOG_LEVEL),
        *(("--component-log-level", components) if components else ()),
        *(("--concurrency", str(concurrency)) if concurrency is not None else ("--cpuset-threads",)),
        "--disable-hot-restart",
        "--drain-strategy",
        "immediate",
        "--drain-time-s",
        f"{drain:.0f}",
        *(str(a) for a in spec.get("extraArgs") or ()),
    )


def _drain_seconds(spec: dict[str, Any]) -> float:
    text = (spec.get("shutdown") or {}).get("drainTimeout")
    if text is None:
        return DRAIN_SECONDS
    try:
        return durations.parse(text) / 1e9
    except ValueError as e:
        raise CannotRender(f"spec.shutdown.drainTimeout: {e}") from e


def _matches(spec: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    metrics = (spec.get("telemetry") or {}).get("metrics") or {}
    return tuple((m.get("type") or "Exact", m["value"]) for m in metrics.get("matches") or ())


def _loopback(spec: dict[str, Any]) -> str:
    return "::1" if spec.get("ipFamily") == "IPv6" else "127.0.0.1"


def _ports(proxy: ProxyInfra, spec: dict[str, Any]) -> tuple[Port, ...]:
    everywhere = "::" if spec.get("ipFamily") in ("IPv6", "DualStack") else "0.0.0.0"
    ports = {
        Port(port.container_port, "udp" if port.protocol == "UDP" else "tcp", listener.address or everywhere)
        for listener in proxy.listeners
        for port in listener.ports
    }
    return tuple(sorted(ports))
