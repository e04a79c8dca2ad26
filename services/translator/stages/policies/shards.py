"""Policies as shards: one for each fleet where a policy holds something, and one for each parent that it is merged over there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from services.translator.stages.attach import attachments
from services.translator.stages.gateways import served
from services.translator.stages.policies.effect import Laid, shard
from services.translator.stages.policies.kinds import FOR_ROUTES
from services.translator.stages.policies.precedence import counts, laid
from services.translator.stages.policies.targets import gateway_behind, holder, scopes
from services.translator.stages.proxies import fleet_of
from services.translator.stages.tables import POLICIES
from shared.api.extension_policy import EnvoyExtensionPolicySpec
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db
from shared.ir import extension, security
from shared.ir.policy import PolicyShard


def _uses(db: Db, policy: ObjectRef) -> Iterator[tuple[ObjectRef, Laid]]:
    """The Gateways at which a policy counts, and over what it is laid there."""
    for scope in scopes(db, policy):
        if holder(db, policy.kind, scope) != policy:
            continue
        if scope.object.kind in ("Gateway", "ListenerSet"):
            gateway = gateway_behind(db, scope.object)
            if served(db, gateway):
                yield gateway, Laid(policy)
        elif scope.object.kind in FOR_ROUTES[policy.kind].routes:
            for each in attachments(db, scope.object):
                for at in each.at:
                    yield each.gateway, laid(db, policy, at.point.owner, at.point.name, each.gateway)


def uses(db: Db, policy: ObjectRef) -> tuple[tuple[ObjectRef, Laid], ...]:
    """The Gateways at which a policy counts, and over what it is laid there, each once."""
    return tuple((gateway, each) for gateway, each in dict.fromkeys(_uses(db, policy)) if counts(db, each, gateway))


def _needs_modules(db: Db, policy: ObjectRef) -> Mapping[GatewayRef, bool]:
    row = db.get(POLICIES, policy)
    if row is None or not isinstance(row.spec, EnvoyExtensionPolicySpec) or not row.spec.wasm:
        return {}
    return {fleet_of(db, gateway): True for gateway, _ in _uses(db, policy)}


MODULE_USERS: Collection[GatewayRef, bool] = Collection("module_users", source=POLICIES, fn=_needs_modules)
"""Fleets whose proxies need Wasm modules."""


def endpoints_of_services(db: Db, policy: ObjectRef) -> Mapping[tuple[GatewayRef, str], bool]:
    """The endpoints that each fleet needs because a policy makes its proxies ask services."""
    found = {}
    for (fleet, _), made in policy_shards(db, policy).items():
        asked = chain(
            security.destinations(made.security) if made.security is not None else (),
            extension.destinations(made.envoy_extensions) if made.envoy_extensions is not None else (),
        )
        found.update({(fleet, s.endpoints_ref): True for d in asked for s in d.settings if s.endpoints_ref})
    return found


def policy_shards(db: Db, policy: ObjectRef) -> Mapping[tuple[GatewayRef, str], PolicyShard]:
    if policy.kind not in FOR_ROUTES:
        return {}
    return {(fleet_of(db, gateway), each.key): shard(db, each, gateway) for gateway, each in uses(db, policy)}
