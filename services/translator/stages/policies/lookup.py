"""What policies' features ask of the objects around them, answered from the tables: Secrets, ConfigMaps, services of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from services.translator.stages.backends import Upstream, backend_upstream, service_upstream, with_tls
from services.translator.stages.endpoints import address_type
from services.translator.stages.grants import permitted
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.policies.references import CA_KEY, data_at
from services.translator.stages.tables import BACKENDS, CONFIG_MAPS, FACTS, POLICIES, SECRETS, core_ref, environment, settings
from services.translator.stages.views import view
from shared.api.envoy import GROUP as ENVOY
from shared.api.gateway import SecretObjectReference
from shared.api.parse import MCS_GROUP
from shared.core.digest import digest
from shared.core.facts import Question
from shared.core.refs import ObjectRef
from shared.features.parts.policy_lookup import Fault, value_at
from shared.features.parts.service_spec import ServiceRef
from shared.incremental import Db
from shared.ir.destination import AppProtocol, Destination, DestinationSetting

_GROUPS = ("", MCS_GROUP, ENVOY)
_HMAC, _HMAC_KEY = "envoy-oidc-hmac", "hmac-secret"
_KINDS = ("Service", "ServiceImport", "Backend")


class PolicyLookup(NamedTuple):
    """At one Gateway. See shared/features/parts/policy_lookup.py for what each answers."""

    db: Db
    gateway: ObjectRef

    def secret(self, owner: ObjectRef, ref: SecretObjectReference) -> Mapping[str, str]:
        if ref.group:
            raise Fault("secret ref group must be unspecified/empty")
        if ref.kind != "Secret":
            raise Fault("secret ref kind must be Secret")
        target = core_ref("Secret", ref.namespace or owner.namespace, ref.name)
        at = f"{target.namespace}/{target.name}"
        if not permitted(self.db, ENVOY, owner.kind, owner.namespace, target):
            raise Fault(f"ref to Secret {at} not permitted by any ReferenceGrant")
        row = self.db.get(SECRETS, target)
        if row is None:
            raise Fault(f"secret {at} does not exist")
        return row.data

    def config_map(self, owner: ObjectRef, name: str) -> Mapping[str, str]:
        row = self.db.get(CONFIG_MAPS, core_ref("ConfigMap", owner.namespace, name))
        if row is None:
            raise Fault(f"can't find the referenced configmap {name} in namespace {owner.namespace}")
        return row.data

    def opened(self, value: str) -> bytes:
        try:
            return environment(self.db).opened(value)
        except ValueError as e:
            raise Fault(f"a secret value cannot be opened: {e}") from None

    def hmac_secret(self) -> str:
        namespace = settings(self.db).controller_namespace
        row = self.db.get(SECRETS, core_ref("Secret", namespace, _HMAC))
        if row is None:
            raise Fault(f"HMAC secret {namespace}/{_HMAC} not found")
        return value_at(row.data, _HMAC_KEY, f"HMAC secret not found in secret {namespace}/{_HMAC}")

    def fact(self, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.db.get(FACTS, Question.of(kind, dict(asked)))
        if answer is None or answer.value is None:
            raise Fault(answer.problem if answer is not None else f"no answer to {kind} {dict(asked)}")
        return answer.value

    def bundle(self, owner: ObjectRef, ref: SecretObjectReference) -> bytes:
        try:
            return data_at(self.db, owner, ref, CA_KEY)
        except ValueError as e:
            raise Fault(str(e)) from None

    def revision(self, owner: ObjectRef) -> str:
        row = self.db.get(POLICIES, owner)
        return digest(msgspec.json.encode(row.spec, order="deterministic"))[:16] if row is not None else ""

    def module_url(self, name: str) -> str:
        return f"{settings(self.db).modules.url}/{name}.wasm"

    def destination(self, owner: ObjectRef, name: str, refs: Iterable[ServiceRef], protocol: AppProtocol) -> Destination:
        settings = []
        for i, ref in enumerate(refs):
            setting = self._setting(owner, ref, protocol)
            if ref.weight != 0:
                priority = 1 if ref.fallback else setting.priority
                weight = 1 if ref.weight is None else ref.weight
                settings.append(replace(setting, name=f"{name}/backend/{i}", weight=weight, priority=priority))
        if not settings:
            raise Fault("no backend has a weight")
        kinds = {address_type(self.db, s.endpoints_ref) for s in settings} - {None}
        if "FQDN" in kinds and len(kinds) > 1:
            raise Fault("external service destinations having multiple endpoint types are not supported")
        row = self.db.get(POLICIES, owner)
        meta = resource_metadata(owner.kind, row.metadata) if row is not None else None
        return Destination(name=name, settings=tuple(settings), metadata=meta)

    def _setting(self, owner: ObjectRef, ref: ServiceRef, protocol: AppProtocol) -> DestinationSetting:
        if ref.group not in _GROUPS:
            raise Fault(f"group is invalid, only the core API group, {MCS_GROUP} and {ENVOY} are supported")
        if ref.kind not in _KINDS:
            raise Fault("kind is invalid, only Service, ServiceImport, and Backend are supported")
        if ref.port is None and ref.kind != "Backend":
            raise Fault("a valid port number corresponding to a port on the Service must be specified")
        target = ObjectRef(ref.group, ref.kind, ref.namespace or owner.namespace, ref.name)
        if not permitted(self.db, ENVOY, owner.kind, owner.namespace, target):
            raise Fault(f"backend ref to {target.kind} {target.namespace}/{target.name} not permitted by any ReferenceGrant")
        found = with_tls(self.db, self._upstream(target, ref.port or 0, protocol), target, ref.port, self.gateway)
        if found.setting is None:
            raise Fault(found.problem.message if found.problem is not None else "the backend cannot be used")
        if found.setting.is_dynamic_resolver:
            raise Fault(f"dynamic resolver backend {target.namespace}/{target.name} is not supported")
        return found.setting

    def _upstream(self, target: ObjectRef, port: int, protocol: AppProtocol) -> Upstream:
        if target.kind == "Backend":
            return backend_upstream(self.db, target.namespace, target.name, protocol, True)
        seen = view(self.db, self.gateway)
        by_address = seen is not None and seen.by_address
        return service_upstream(self.db, target.kind, target.namespace, target.name, port, by_address, protocol)

    def authority(self, owner: ObjectRef, ref: ServiceRef) -> str:
        at = f"{ref.name}.{ref.namespace or owner.namespace}"
        if ref.kind != "Backend":
            return f"{at}:{ref.port}"
        row = self.db.get(BACKENDS, ObjectRef(ENVOY, "Backend", ref.namespace or owner.namespace, ref.name))
        named = (e.fqdn for e in row.spec.endpoints if e.fqdn is not None) if row is not None else iter(())
        host = next(named, None)
        return f"{host.hostname}:{host.port}" if host is not None else at
