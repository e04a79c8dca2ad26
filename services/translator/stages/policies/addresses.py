"""Which listeners of a Gateway find out their clients' addresses in a way that these can be looked up by."""

from __future__ import annotations

from collections.abc import Iterator

from services.translator.stages.judged import judged
from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.proxies import fleet_of
from services.translator.stages.tables import POLICIES
from shared.api.client_policy import ClientTrafficPolicySpec
from shared.core.refs import ObjectRef
from shared.incremental import Db

_KIND = "ClientTrafficPolicy"


def detects(db: Db, gateway: ObjectRef) -> Iterator[bool]:
    """For each HTTP listener whether it does. Each listener judges for itself again when routes are joined with their policies."""
    for each in judged(db, fleet_of(db, gateway)):
        if each.gateway != gateway or each.spec.protocol not in ("HTTP", "HTTPS"):
            continue
        scopes = dict.fromkeys((Scope(each.owner, each.spec.name), Scope(each.owner), Scope(each.gateway)))
        policy = next((found for scope in scopes if (found := holder(db, _KIND, scope)) is not None), None)
        row = db.get(POLICIES, policy) if policy is not None else None
        yield row is not None and isinstance(row.spec, ClientTrafficPolicySpec) and _detects(row.spec)


def _detects(spec: ClientTrafficPolicySpec) -> bool:
    of = spec.client_ip_detection
    if of is None:
        return False
    ways = [way for way in (of.x_forwarded_for, of.custom_header, of.direct_source_ip) if way is not None]
    return len(ways) == 1 and not (of.x_forwarded_for is not None and of.x_forwarded_for.trusted_cidrs)
