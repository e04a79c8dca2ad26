"""A lookup over plain dicts, for tests of what policies' features make of the objects around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.api.gateway import SecretObjectReference
from shared.core.refs import ObjectRef
from shared.features.parts.policy_lookup import Fault
from shared.features.parts.service_spec import ServiceRef
from shared.ir.destination import AppProtocol, Destination, DestinationSetting

POLICY = ObjectRef("gateway.envoyproxy.io", "SecurityPolicy", "default", "p")
PARENT = ObjectRef("gateway.envoyproxy.io", "SecurityPolicy", "infra", "q")


class Around(msgspec.Struct):
    """Secrets and ConfigMaps by namespace/name, facts by issuer; a value is sealed by an exclamation mark."""

    secrets: dict[str, dict[str, str]] = {}
    config_maps: dict[str, dict[str, str]] = {}
    facts: dict[str, dict[str, str]] = {}

    def secret(self, owner: ObjectRef, ref: SecretObjectReference) -> Mapping[str, str]:
        return self._found(self.secrets, f"{ref.namespace or owner.namespace}/{ref.name}")

    def config_map(self, owner: ObjectRef, name: str) -> Mapping[str, str]:
        return self._found(self.config_maps, f"{owner.namespace}/{name}")

    def _found(self, among: dict[str, dict[str, str]], name: str) -> Mapping[str, str]:
        if name not in among:
            raise Fault(f"{name} does not exist")
        return among[name]

    def opened(self, value: str) -> bytes:
        return value.removeprefix("!").encode()

    def hmac_secret(self) -> str:
        return "!hmac"

    def fact(self, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._found(self.facts, next(asked[key] for key in ("issuer", "url", "image") if key in asked))

    def bundle(self, owner: ObjectRef, ref: SecretObjectReference) -> bytes:
        return self._found(self.config_maps, f"{ref.namespace or owner.namespace}/{ref.name}")["ca.crt"].encode()

    def revision(self, owner: ObjectRef) -> str:
        return "revision"

    def module_url(self, name: str) -> str:
        return f"https://control-plane/{name}.wasm"

    def destination(self, owner: ObjectRef, name: str, refs: Iterable[ServiceRef], protocol: AppProtocol) -> Destination:
        settings = (DestinationSetting(name=f"{name}/backend/{i}", protocol=protocol) for i, _ in enumerate(refs))
        return Destination(name=name, settings=tuple(settings))

    def authority(self, owner: ObjectRef, ref: ServiceRef) -> str:
        return f"{ref.name}.{ref.namespace or owner.namespace}:{ref.port}"
