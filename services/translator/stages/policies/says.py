"""What of a traffic policy decides about clusters before these are made.

Only that is read of a policy here, so that its other settings change without any route being looked at again.
"""

from __future__ import annotations

from typing import NamedTuple

from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.tables import POLICIES
from shared.api.client_policy import ClientTrafficPolicySpec
from shared.api.targets import PolicyTargets
from shared.api.traffic_policy import BackendTrafficPolicySpec
from shared.core.refs import ObjectRef
from shared.incremental import Db, query

TRAFFIC, CLIENT = "BackendTrafficPolicy", "ClientTrafficPolicy"
_OF_CLUSTERS = (
    "load_balancer",
    "proxy_protocol",
    "health_check",
    "circuit_breaker",
    "timeout",
    "tcp_keepalive",
    "connection",
    "http2",
    "dns",
    "admission_control",
    "use_client_protocol",
)


class Say(NamedTuple):
    """`by_address`: to Services' own addresses or to their endpoints; `of_clusters`: it says something of clusters.

    `merges`: it adds to what is said above, and does not replace it. `connects`: it takes CONNECT requests, None: it says nothing of it.
    """

    by_address: bool | None = None
    of_clusters: bool = False
    merges: bool = True
    connects: bool | None = None


def _spec(db: Db, policy: ObjectRef) -> PolicyTargets | None:
    row = db.get(POLICIES, policy)
    return row.spec if row is not None else None


@query
def say(db: Db, policy: ObjectRef) -> Say:
    spec = _spec(db, policy)
    if not isinstance(spec, BackendTrafficPolicySpec):
        return Say()
    return Say(
        by_address=spec.routing_type == "Service" if spec.routing_type is not None else None,
        of_clusters=any(getattr(spec, field) is not None for field in _OF_CLUSTERS),
        merges=spec.merge_type is not None,
        connects=any(each.type == "CONNECT" for each in spec.http_upgrade) if spec.http_upgrade else None,
    )


@query
def has_http1(db: Db, policy: ObjectRef) -> bool:
    spec = _spec(db, policy)
    return isinstance(spec, ClientTrafficPolicySpec) and spec.http1 is not None


@query
def hashes(db: Db, gateway: ObjectRef) -> bool:
    """Whether a Gateway's policy spreads requests by a hash, for which all backends of a rule have to be in one cluster."""
    policy = holder(db, TRAFFIC, Scope(gateway))
    spec = _spec(db, policy) if policy is not None else None
    balancer = spec.load_balancer if isinstance(spec, BackendTrafficPolicySpec) else None
    return balancer is not None and balancer.type == "ConsistentHash"


@query
def of_gateway(db: Db, gateway: ObjectRef) -> Say:
    """What a Gateway's own policy says."""
    policy = holder(db, TRAFFIC, Scope(gateway))
    return say(db, policy) if policy is not None else Say()
