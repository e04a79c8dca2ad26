"""translator: resources in, IR, statuses and wants out. One replica writes, by lease; a stage without I/O but the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

import structlog

from services.translator.inbox import Arrived, Inbox
from services.translator.publishing import Publishing
from services.translator.settings import Extensions, ServerTls, TranslatorSettings
from services.translator.translator import Outputs, Translator
from shared.bus.connection import Bus
from shared.core.sealing import Sealer
from shared.features.extension.wasm.ir import ModuleService
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.runtime import garbage, start, terms, trace
from shared.runtime.config import EnvoyGateway, RateLimitSection
from shared.runtime.extensions import ExtensionManager
from shared.runtime.ops import Ops
from shared.runtime.settings import WASM_PORT, Settings
from shared.runtime.waiting import all_or_stopped

log = structlog.get_logger("translator")

PARTITION = "translator-0"
PENDING_SECONDS = 2.0
"""How long a read may stay unanswered before it becomes a condition (law 2)."""
DNS_DOMAIN = "cluster.local"
RATE_LIMIT_PORT = 8081
INLINE = 100
"""Up to so many changed objects a translation runs on the event loop; more of them would hold up lease and connection."""


def module_service(settings: Settings) -> ModuleService:
    """Where proxies get Wasm modules: beside xDS."""
    if on_kubernetes(settings.config):
        return ModuleService(host=f"envoy-gateway.{settings.namespace}.svc.{settings.dns_domain}", port=WASM_PORT)
    return ModuleService(host=settings.xds_host, port=settings.wasm_port, tls=settings.cert_dir is not None and not settings.xds_plaintext)


def on_kubernetes(config: EnvoyGateway) -> bool:
    """Whether proxies are pods."""
    infrastructure = config.provider.custom.infrastructure if config.provider.custom else None
    return infrastructure is None or infrastructure.type == "Kubernetes"


def translator_settings(
    config: EnvoyGateway, namespace: str, dns_domain: str = DNS_DOMAIN, modules: ModuleService | None = None
) -> TranslatorSettings:
    """What translation needs of the static configuration."""
    provider = config.provider
    kubernetes = provider.kubernetes
    infrastructure = provider.custom.infrastructure if provider.custom else None
    return TranslatorSettings(
        controller_name=config.gateway.controller_name,
        controller_namespace=namespace,
        gateway_namespace_mode=bool(kubernetes and kubernetes.deploy and kubernetes.deploy.type == "GatewayNamespace"),
        running_on_host=infrastructure is not None and infrastructure.type == "Host",
        backend=config.extension_apis.enable_backend,
        envoy_patch_policy=config.extension_apis.enable_envoy_patch_policy,
        disable_lua=config.extension_apis.lua_disabled,
        sds=config.extension_apis.enable_sds_secret_ref,
        per_resource_system_ca_secret=config.runtime_flags.has("PerResourceSystemCASecret"),
        envoy_proxy=config.envoy_proxy,
        rate_limit=rate_limit_service(config.rate_limit, namespace, dns_domain) if config.rate_limit is not None else None,
        extensions=Extensions(
            resources=frozenset((k.group, k.kind) for m in config.managers for k in (*m.resources, *m.backend_resources)),
            policies=frozenset((k.group, k.kind) for m in config.managers for k in m.policy_resources),
            tls=tuple(_server_tls(m, namespace) for m in config.managers if m.service is not None and m.service.tls is not None),
        ),
        modules=modules if modules is not None else TranslatorSettings().modules,
        shows_authority=not on_kubernetes(config),
    )


def _server_tls(manager: ExtensionManager, namespace: str) -> ServerTls:
    assert manager.service is not None
    assert manager.service.tls is not None
    of = manager.service.tls
    shown = of.client_certificate_ref
    return ServerTls(
        manager.label,
        (of.certificate_ref.namespace or namespace, of.certificate_ref.name),
        (shown.namespace or namespace, shown.name) if shown is not None else None,
    )


def rate_limit_service(section: RateLimitSection, namespace: str, dns_domain: str = DNS_DOMAIN) -> RateLimitService:
    """Where proxies find the service that counts for all of them."""
    url = urlsplit(section.url or f"grpcs://envoy-ratelimit.{namespace}.svc.{dns_domain}:{RATE_LIMIT_PORT}")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if url.scheme not in ("grpc", "grpcs") or not host:
        raise start.CannotStart(f"rateLimit.url: {section.url!r} is not of the form grpc://<host>:<port>")
    return RateLimitService(
        host=host, port=port or RATE_LIMIT_PORT, timeout=section.timeout, fail_closed=section.fail_closed, tls=url.scheme == "grpcs"
    )


async def run(settings: Settings, ops: Ops, stop: asyncio.Event) -> None:
    sealer = start.sealer(settings)

    async def term(bus: Bus, epoch: int) -> None:
        work = _Term(settings, ops, bus, epoch, sealer)
        try:
            await all_or_stopped(stop, *work.works())
        finally:
            await work.close()

    await terms.serve(settings, ops, stop, PARTITION, term)


class _Term:
    """From taking the lease to losing it."""

    def __init__(self, settings: Settings, ops: Ops, bus: Bus, epoch: int, sealer: Sealer) -> None:
        self._ops = ops
        self._inbox = Inbox(bus)
        self._publishing = Publishing(bus, epoch)
        config, namespace, domain = settings.config, settings.namespace, settings.dns_domain
        self._translator = Translator(translator_settings(config, namespace, domain, module_service(settings)), sealer.open)
        self._first = True
        self._pending_since: float | None = None
        ops.details = lambda: {"epoch": epoch, "versions": self._publishing.versions, "waitingFor": sorted(self._inbox.waiting_for)}

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            self._inbox.follow_resources(),
            self._inbox.follow_infrastructure(),
            self._inbox.follow_proxies(),
            self._inbox.follow_facts(),
            self._translate(),
        )

    async def close(self) -> None:
        await self._inbox.close()
        await self._publishing.close()

    async def _translate(self) -> None:
        await self._publishing.open()
        loop = asyncio.get_running_loop()
        while True:
            arrived = await self._next(loop)
            self._ops.backlog.enter()
            traceparent = trace.follow({trace.HEADER: arrived.trace} if arrived and arrived.trace else None)
            outputs = await self._run(arrived)
            await self._publish(arrived, outputs, traceparent)
            if outputs.pending and self._pending_since is None:
                self._pending_since = loop.time()
            elif not outputs.pending:
                self._pending_since = None
            self._ops.backlog.leave()
            if self._first:
                self._first = False
                self._ops.ready()
                garbage.settle_in()

    async def _next(self, loop: asyncio.AbstractEventLoop) -> Arrived | None:
        """What arrived, or None when a pending read has waited long enough."""
        if self._pending_since is None:
            return await self._inbox.take()
        try:
            async with asyncio.timeout_at(self._pending_since + PENDING_SECONDS):
                return await self._inbox.take()
        except TimeoutError:
            self._pending_since = None
            return None

    async def _run(self, arrived: Arrived | None) -> Outputs:
        if arrived is not None and len(arrived.objects) > INLINE:
            return await asyncio.to_thread(self._step, arrived)
        return self._step(arrived)

    def _step(self, arrived: Arrived | None) -> Outputs:
        if arrived is None:
            return self._translator.deadline_pending()
        for gateway, infra in arrived.infra.items():
            self._translator.apply_infra_status(gateway, infra)
        for (gateway, replica), xds in arrived.xds.items():
            self._translator.apply_xds_status(gateway, replica, xds)
        self._translator.answer(arrived.facts)
        self._translator.answer_absent(*arrived.absent)
        return self._translator.apply(arrived.objects)

    async def _publish(self, arrived: Arrived | None, outputs: Outputs, traceparent: str) -> None:
        causes = tuple(arrived.causes) if arrived is not None else ("an answer did not come in time",)
        out = self._publishing
        await out.wants(outputs.wants)
        if self._first:
            await out.first(outputs.shards, outputs.infra, outputs.statuses, outputs.pending)
        await out.shards(outputs.shards, outputs.removed, frozenset(outputs.pending), causes, traceparent, patient=arrived is not None)
        await out.infra(outputs.infra, traceparent, whole=self._first and not outputs.pending)
        await out.statuses(outputs.statuses, traceparent)
