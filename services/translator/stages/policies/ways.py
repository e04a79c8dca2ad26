"""Where the requests of a rule go, and whether they may go by clusters that others share: what traffic policies say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.translator.stages.policies.says import CLIENT, TRAFFIC, has_http1, of_gateway, say
from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.views import view
from shared.core.refs import ObjectRef
from shared.incremental import Db, query


class Way(NamedTuple):
    """How a rule leads to its backends. `by_address`: to Services' own addresses or to their endpoints, None: as the Gateway says.

    `own`: not by clusters that others share, where there are any.
    """

    by_address: bool | None = None
    own: bool = False


class Place(NamedTuple):
    """A listener, by who owns it and its name there."""

    owner: ObjectRef
    section: str


def ways(db: Db, route: ObjectRef, names: tuple[str, ...], gateway: ObjectRef, at: Place) -> tuple[Way, ...]:
    """The way of each rule (`names`: theirs, '' for none) at a listener; () where all go as the Gateway says."""
    found = tuple(_way(db, route, name, gateway, at) for name in names)
    return found if any(way != Way() for way in found) else ()


def _way(db: Db, route: ObjectRef, rule: str, gateway: ObjectRef, at: Place) -> Way:
    above, policy, seen = _listener_way(db, gateway, at), _own(db, route, rule), view(db, gateway)
    if policy is None or seen is None:
        return above
    said = say(db, policy)
    by_address = above.by_address if said.merges and said.by_address is None else said.by_address
    if by_address is None and not said.merges and seen.by_address != seen.routes_by_address:
        # it stands in the place of the Gateway's policy, and leaves it to the proxy
        by_address = seen.by_address
    return Way(by_address, above.own or (seen.merge_backends is not None and (said.of_clusters or not said.merges)))


def _own(db: Db, route: ObjectRef, rule: str) -> ObjectRef | None:
    """The policy that a rule has of itself or of its route."""
    scopes = (Scope(route, rule), Scope(route)) if rule else (Scope(route),)
    return next((policy for scope in scopes if (policy := holder(db, TRAFFIC, scope)) is not None), None)


def _of_listener(gateway: ObjectRef, at: Place) -> Iterator[Scope]:
    """A listener's scopes below the Gateway, the most specific first."""
    yield Scope(at.owner, at.section)
    if at.owner != gateway:
        yield Scope(at.owner)


@query
def _listener_way(db: Db, gateway: ObjectRef, at: Place) -> Way:
    """The way of rules that have no policy of their own."""
    seen = view(db, gateway)
    below = [say(db, p) for scope in _of_listener(gateway, at) if (p := holder(db, TRAFFIC, scope)) is not None]
    by_address = next((said.by_address for said in below if said.by_address is not None), None)
    # the closest policy decides, whatever those above it say
    differs = (bool(below) and below[0].of_clusters) or _speaks_otherwise(db, gateway, at)
    return Way(by_address, differs and seen is not None and seen.merge_backends is not None)


def _speaks_otherwise(db: Db, gateway: ObjectRef, at: Place) -> bool:
    """Whether a listener's client policy says how headers go on to backends, which clusters do."""
    held = (holder(db, CLIENT, scope) for scope in _of_listener(gateway, at))
    return any(has_http1(db, policy) for policy in held if policy is not None)


def connects(db: Db, route: ObjectRef, rule: str, gateway: ObjectRef, at: Place) -> bool:
    """Whether a rule takes CONNECT requests at a listener: then it matches these, and no path."""
    policy = _own(db, route, rule)
    if policy is None:
        return _listener_connects(db, gateway, at)
    said = say(db, policy)
    return _listener_connects(db, gateway, at) if said.connects is None and said.merges else bool(said.connects)


@query
def _listener_connects(db: Db, gateway: ObjectRef, at: Place) -> bool:
    held = (holder(db, TRAFFIC, scope) for scope in _of_listener(gateway, at))
    closest = next((policy for policy in held if policy is not None), None)
    return bool((say(db, closest) if closest is not None else of_gateway(db, gateway)).connects)
