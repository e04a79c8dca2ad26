"""The provider `Kubernetes`: fleets as Deployments and Services, in the control plane's namespace or in their Gateways'."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes import webhook
from services.infra_manager.providers.kubernetes.applying import MANAGER, Applier
from services.infra_manager.providers.kubernetes.keeper import Keeper
from services.infra_manager.providers.kubernetes.objects import RATE_LIMIT, Objects
from services.infra_manager.providers.kubernetes.render import rate_limit
from services.infra_manager.providers.kubernetes.render.fleet import render
from services.infra_manager.providers.kubernetes.render.options import OWN_IMAGE, KubeOptions
from services.infra_manager.providers.kubernetes.render.plan import Plan
from services.infra_manager.reports import Reports
from shared.bus.waiting import end
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.kube.client import Kube, NoCluster
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart

log = structlog.get_logger("infrastructure")

LOOK_AGAIN = 5.0
"""Seconds between two looks at the authority's file: a mounted Secret changes within a minute of its own."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::")


def options(settings: Settings) -> KubeOptions:
    kubernetes = settings.config.provider.kubernetes
    deploy = kubernetes.deploy if kubernetes is not None else None
    shutdown = kubernetes.shutdown_manager if kubernetes is not None else None
    injector = kubernetes.proxy_topology_injector if kubernetes is not None else None
    return KubeOptions(
        namespace=settings.namespace,
        dns_domain=settings.dns_domain,
        xds_host="" if settings.xds_host in _LOOPBACK else settings.xds_host,
        xds_port=settings.xds_port,
        by_namespace=deploy is not None and deploy.type == "GatewayNamespace",
        zones=injector is None or not injector.disabled,
        own_image=(shutdown.image if shutdown is not None else None) or OWN_IMAGE,
    )


def rate_limit_asked(settings: Settings) -> rate_limit.Asked | None:
    """None where no service is to run, or one runs that is not ours."""
    section, kubernetes = settings.config.rate_limit, settings.config.provider.kubernetes
    if section is None or section.url is not None:
        return None
    return rate_limit.Asked(
        section.backend,
        section.telemetry,
        section.config_port,
        kubernetes.rate_limit_deployment if kubernetes is not None else None,
        kubernetes.rate_limit_hpa if kubernetes is not None else None,
        kubernetes.rate_limit_pdb if kubernetes is not None else None,
    )


class KubernetesInfrastructure:
    def __init__(self, settings: Settings) -> None:
        self._options = options(settings)
        self._rate = settings.config.provider.request_rate
        self._rate_limit = rate_limit_asked(settings)
        self._kube: Kube | None = None
        self._objects: Objects | None = None
        self._applier: Applier | None = None
        self._keepers: dict[GatewayRef, Keeper] = {}
        self._reports = Reports()
        self._authority = settings.cert_dir / "envoy-gateway" / "ca.crt" if settings.cert_dir is not None else None
        self._rendered: dict[GatewayRef, Infra] = {}
        self._following: asyncio.Task[None] | None = None

    @staticmethod
    async def beside(settings: Settings) -> None:
        """The topology injector, on every replica."""
        if options(settings).zones and settings.cert_dir is not None:
            await webhook.serve(settings.cert_dir / "envoy-gateway")

    async def open(self) -> frozenset[GatewayRef]:
        try:
            self._kube = await Kube.connect(MANAGER, qps=self._rate.qps, burst=self._rate.burst)
        except NoCluster as e:
            raise CannotStart(str(e)) from e
        self._objects = Objects(self._kube, self._options.namespace, self._look, everywhere=self._options.by_namespace)
        self._applier = Applier(self._kube, self._objects)
        await self._objects.open()
        if self._options.by_namespace:
            self._options = self._options._replace(authority=self._read_authority())
            self._following = asyncio.create_task(self._follow_authority(), name="authority")
        self._provide_rate_limit()
        return self._objects.fleets()

    def render(self, gateway: GatewayRef, infra: Infra) -> Plan | None:
        self._rendered[gateway] = infra
        return render(infra, self._options)

    async def apply(self, gateway: GatewayRef, plan: Plan | None) -> None:
        self._keeper(gateway).want(plan)

    async def remove(self, gateway: GatewayRef) -> None:
        self._rendered.pop(gateway, None)
        self._keeper(gateway).remove()

    async def observe(self) -> tuple[GatewayRef, InfraStatus | None]:
        return await self._reports.next()

    async def close(self) -> None:
        if self._following is not None:
            await end(self._following)
        for keeper in self._keepers.values():
            await keeper.close()
        if self._kube is not None:
            await self._kube.close()
        if self._objects is not None:
            await self._objects.close()

    def _read_authority(self) -> str:
        """By whom proxies in other namespaces, which cannot have the Secret, know the control plane."""
        try:
            return self._authority.read_text() if self._authority is not None else ""
        except OSError as e:
            log.warning("no_authority", path=str(self._authority), error=e.strerror)
            return ""

    async def _follow_authority(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            found = self._read_authority()
            if not found or found == self._options.authority:
                continue
            self._options = self._options._replace(authority=found)
            for gateway, infra in list(self._rendered.items()):
                with contextlib.suppress(CannotRender):
                    self._keeper(gateway).want(render(infra, self._options))

    def _provide_rate_limit(self) -> None:
        if self._rate_limit is None:
            self._keeper(RATE_LIMIT).remove()
            return
        try:
            self._keeper(RATE_LIMIT).want(rate_limit.render(self._rate_limit, self._options))
        except CannotRender as e:
            log.error("rate_limit_service_unusable", error=str(e))

    def _keeper(self, gateway: GatewayRef) -> Keeper:
        keeper = self._keepers.get(gateway)
        if keeper is None or keeper.ended:
            assert self._applier is not None
            assert self._objects is not None
            keeper = self._keepers[gateway] = Keeper(gateway, self._applier, self._objects, self._report)
        return keeper

    def _look(self, gateway: GatewayRef) -> None:
        if (keeper := self._keepers.get(gateway)) is not None:
            keeper.look()

    def _report(self, gateway: GatewayRef, status: InfraStatus | None) -> None:
        if status is None:
            self._keepers.pop(gateway, None)
        if gateway == RATE_LIMIT:
            return
        self._reports.tell(gateway, status)
