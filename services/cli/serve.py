"""One of the four services as a process. Each is imported only when it is the one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Callable

from services.cli import exits
from services.cli.output import err, plain
from shared.runtime.ops import Ops
from shared.runtime.process import Service, run
from shared.runtime.settings import Settings

_MODULES = {
    "resource-watcher": "services.resource_watcher.service",
    "translator": "services.translator.service",
    "xds-server": "services.xds_server.service",
    "infra-manager": "services.infra_manager.service",
}


def _by_token(settings: Settings) -> bool:
    """Whether proxies live in their Gateways' namespaces, and show tokens of their service accounts."""
    kubernetes = settings.config.provider.kubernetes
    return kubernetes is not None and kubernetes.deploy is not None and kubernetes.deploy.type == "GatewayNamespace"


def _proving(serve: Callable[..., Awaitable[None]]) -> Service:
    """xds_server with somebody who tells it whose a token is. It is handed over from here: xds_server itself knows no API server."""

    async def serving(settings: Settings, ops: Ops, stop: asyncio.Event) -> None:
        from shared.kube.tokens import Reviewer  # who needs no API server need not load its client

        audience = f"envoy-gateway.{settings.namespace}.svc.{settings.dns_domain}"
        async with contextlib.aclosing(Reviewer(audience)) as prove:
            await serve(settings, ops, stop, prove=prove)

    return serving


def main(settings: Settings) -> int:
    """The process's exit code."""
    service = importlib.import_module(_MODULES[settings.service])
    try:
        return run(settings, _proving(service.run) if settings.service == "xds-server" and _by_token(settings) else service.run)
    except OSError as e:
        err.print(f"[red]error:[/red] {settings.service} cannot start: {plain(str(e))}")
        return exits.FAILED
