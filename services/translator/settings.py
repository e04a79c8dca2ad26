"""What the static configuration decides for translation; it does not change while a translator runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from shared.core.sealing import SealError
from shared.features.extension.wasm.ir import ModuleService
from shared.features.traffic.rate_limit.ir import RateLimitService

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


class ServerTls(msgspec.Struct, frozen=True):
    """The Secrets (namespace, name) of an extension server that is spoken to over TLS: who vouches for it, and what is shown to it."""

    name: str
    authority: tuple[str, str]
    client: tuple[str, str] | None = None


class Extensions(msgspec.Struct, frozen=True):
    """Kinds (group, kind) of extension servers: what routes may refer to as filters or backends, and policies."""

    resources: frozenset[tuple[str, str]] = frozenset()
    policies: frozenset[tuple[str, str]] = frozenset()
    tls: tuple[ServerTls, ...] = ()


class TranslatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The switches of Envoy Gateway's configuration that translation reads; `envoy_proxy` is its default EnvoyProxy spec."""

    controller_name: str = CONTROLLER
    controller_namespace: str = "envoy-gateway-system"
    gateway_namespace_mode: bool = False
    running_on_host: bool = False
    backend: bool = False
    envoy_patch_policy: bool = False
    disable_lua: bool = False
    sds: bool = False
    per_resource_system_ca_secret: bool = False
    envoy_proxy: dict[str, Any] | None = None
    rate_limit: RateLimitService | None = None
    extensions: Extensions = Extensions()
    modules: ModuleService = ModuleService(host="envoy-gateway.envoy-gateway-system.svc.cluster.local", port=18002)
    shows_authority: bool = False
    """Whether proxies must be told the control plane's authority, because no file of theirs has it."""


class Environment(msgspec.Struct, frozen=True):
    """Settings and the two ways out of pure data: opening a sealed secret value, and the time (seconds, for certificates' validity)."""

    settings: TranslatorSettings
    open_secret: Callable[[str], bytes]
    now: Callable[[], float] = time.time

    def opened(self, value: str) -> bytes:
        """One value of a Secret's data; ValueError where it cannot be opened."""
        try:
            return self.open_secret(value)
        except SealError as e:
            raise ValueError(str(e)) from None
