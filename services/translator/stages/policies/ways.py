"""What traffic policies decide about a rule's clusters before these are made: where requests go, and whether a cluster can be shared.

Only that is read of a policy here, so that its other settings change without any route being looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.tables import POLICIES
from shared.api.client_policy import ClientTrafficPolicySpec
from shared.api.targets import PolicyTargets
from shared.api.traffic_policy import BackendTrafficPolicySpec
from shared.core.refs import ObjectRef
from shared.incremental import Db, query
from shared.ir.shards import policy_key

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


class Way(NamedTuple):
    """How a rule leads to its backends. `by_address`: to Services' own addresses or to their endpoints, None: as the Gateway says.

    `own`: not by clusters that others share.
    """

    by_address: bool | None = None
    own: bool = False


class _Say(NamedTuple):
    """`of_clusters`: it says something of them; `merges`: it adds to what is said above, and does not replace it."""

    routing: str | None
    of_clusters: bool
    merges: bool


class Place(NamedTuple):
    """A listener, by who owns it and its name there."""

    owner: ObjectRef
    section: str


def _spec(db: Db, policy: ObjectRef) -> PolicyTargets | None:
    row = db.get(POLICIES, policy)
    return row.spec if row is not None else None


@query
def _say(db: Db, policy: ObjectRef) -> _Say:
    spec = _spec(db, policy)
    if not isinstance(spec, BackendTrafficPolicySpec):
        return _Say(None, False, True)
    return _Say(spec.routing_type, any(getattr(spec, field) is not None for field in _OF_CLUSTERS), spec.merge_type is not None)


@query
def _has_http1(db: Db, policy: ObjectRef) -> bool:
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
def of_gateway(db: Db, gateway: ObjectRef) -> tuple[str, ...]:
    """What the clusters that a Gateway's routes share name: its own policy, which is that of all of them."""
    policy = holder(db, TRAFFIC, Scope(gateway))
    return (policy_key(policy),) if policy is not None else ()


@query
def by_address(db: Db, gateway: ObjectRef) -> bool | None:
    """Where a Gateway's own policy sends requests."""
    policy = holder(db, TRAFFIC, Scope(gateway))
    return _routing(_say(db, policy).routing) if policy is not None else None


@query
def connects(db: Db, route: ObjectRef, rule: str, gateway: ObjectRef, at: Place) -> bool:
    """Whether a rule takes CONNECT requests at a listener: then it matches these, and no path."""
    own = (Scope(route, rule), Scope(route)) if rule else (Scope(route),)
    for scope in (*own, *_of_listener(gateway, at), Scope(gateway)):
        policy = holder(db, TRAFFIC, scope)
        said = _upgrades(db, policy) if policy is not None else None
        if said is not None:
            return said
    return False


@query
def _upgrades(db: Db, policy: ObjectRef) -> bool | None:
    """Whether a policy upgrades CONNECT; None where it leaves that to the policy above."""
    spec = _spec(db, policy)
    if not isinstance(spec, BackendTrafficPolicySpec):
        return False
    return any(each.type == "CONNECT" for each in spec.http_upgrade) if spec.http_upgrade or spec.merge_type is None else None


def _routing(kind: str | None) -> bool | None:
    return None if kind is None else kind == "Service"


def _of_listener(gateway: ObjectRef, at: Place) -> Iterator[Scope]:
    """A listener's scopes below the Gateway, the most specific first."""
    yield Scope(at.owner, at.section)
    if at.owner != gateway:
        yield Scope(at.owner)


def ways(db: Db, route: ObjectRef, names: tuple[str, ...], gateway: ObjectRef, at: Place) -> tuple[Way, ...]:
    """The way of each rule (`names`: theirs, '' for none) at a listener; () where all go as the Gateway says."""
    found = tuple(_way(db, route, name, gateway, at) for name in names)
    return found if any(way != Way() for way in found) else ()


def _way(db: Db, route: ObjectRef, rule: str, gateway: ObjectRef, at: Place) -> Way:
    above = [_say(db, p) for scope in _of_listener(gateway, at) if (p := holder(db, TRAFFIC, scope)) is not None]
    routing = next((_routing(s.routing) for s in above if s.routing is not None), by_address(db, gateway))
    # the closest policy of a listener decides, whatever those above it say
    own = bool(above) and above[0].of_clusters
    scopes = (Scope(route, rule), Scope(route)) if rule else (Scope(route),)
    policy = next((p for scope in scopes if (p := holder(db, TRAFFIC, scope)) is not None), None)
    if policy is not None:
        say = _say(db, policy)
        if say.routing is not None or not say.merges:
            routing = _routing(say.routing)
        own = own or say.of_clusters if say.merges else True
    return Way(routing, own or _speaks_otherwise(db, gateway, at))


def _speaks_otherwise(db: Db, gateway: ObjectRef, at: Place) -> bool:
    """Whether a listener's client policy says how headers go on to backends, which clusters do."""
    held = (holder(db, CLIENT, scope) for scope in _of_listener(gateway, at))
    return any(_has_http1(db, policy) for policy in held if policy is not None)
