"""External: the proxies are started by somebody else (compose, systemd, another machine's supervisor).

Headgate writes each Gateway's bootstrap where they read it, `<state>/bootstrap/<namespace>_<name>.yaml`. It names the node's cluster;
whoever starts Envoy gives each process its own --service-node. A bootstrap that changes is replaced at once, and takes effect when the
proxy is started again. Whether proxies run is for xds_server to say, which sees them connect; here a fleet counts as ready when its
bootstrap is written.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import structlog

from services.infra_manager.providers.host import render as host
from services.infra_manager.providers.host.render import HostOptions
from services.infra_manager.reports import Reports
from shared.bootstrap.default import sds_files
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.runtime.settings import Settings

log = structlog.get_logger("infrastructure")


class Written(NamedTuple):
    bootstrap: str
    addresses: tuple[str, ...]


class ExternalInfrastructure:
    def __init__(self, settings: Settings) -> None:
        self._folder = settings.state_dir / "bootstrap"
        self._cert_dir = settings.cert_dir / "envoy" if settings.cert_dir and not settings.xds_plaintext else None
        sds_dir = str(self._folder / "sds") if self._cert_dir else ""
        self._options = HostOptions(envoy="envoy", xds_host=settings.xds_host, xds_port=settings.xds_port, sds_dir=sds_dir)
        self._reports = Reports()

    async def open(self) -> frozenset[GatewayRef]:
        (self._folder / "sds").mkdir(parents=True, exist_ok=True)
        if self._cert_dir is not None:
            for name, content in sds_files(str(self._cert_dir)).items():
                _replace(self._folder / "sds" / name, json.dumps(content))
        return frozenset(_gateway(p) for p in self._folder.glob("*.yaml"))

    def render(self, gateway: GatewayRef, infra: Infra) -> Written | None:
        spec = host.render(gateway, infra, self._options)
        if spec is None:
            return None
        bootstrap = json.loads(spec.bootstrap)
        bootstrap["node"] = {**bootstrap.get("node", {}), "cluster": spec.cluster}
        return Written(json.dumps(bootstrap, indent=1, sort_keys=True), spec.addresses)

    async def apply(self, gateway: GatewayRef, plan: Written | None) -> None:
        if plan is None:
            await self.remove(gateway)
            return
        path = self._path(gateway)
        if not path.exists() or path.read_text() != plan.bootstrap:
            _replace(path, plan.bootstrap)
            log.info("bootstrap_written", gateway=str(gateway), path=str(path))
        self._reports.tell(gateway, InfraStatus(addresses=plan.addresses, ready=True, replicas=1))

    async def remove(self, gateway: GatewayRef) -> None:
        self._path(gateway).unlink(missing_ok=True)
        self._reports.tell(gateway, None)

    async def observe(self) -> tuple[GatewayRef, InfraStatus | None]:
        return await self._reports.next()

    async def close(self) -> None:
        return

    def _path(self, gateway: GatewayRef) -> Path:
        return self._folder / f"{gateway.namespace}_{gateway.name}.yaml"


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def _gateway(path: Path) -> GatewayRef:
    namespace, _, name = path.stem.partition("_")
    return GatewayRef(namespace, name)
