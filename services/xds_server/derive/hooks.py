"""Where extension servers are asked in the course of rendering. What nobody has answered yet is waited for: it stays as it last was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from services.xds_server.derive.tables import EXTENSIONS, OPTIONS
from services.xds_server.hooks.plan import Answer, Ask, Given, Server, ask, of_kinds
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES, Rendered, digest
from shared.core import names
from shared.extension import protocol
from shared.incremental import Db, Table, query
from shared.ir.unstructured import Refs
from shared.xds.message import decode

ANSWERS: Table[Ask, Answer] = Table("answers", wanted=True)
SERVERS = "extension_servers"
_encoder = msgspec.json.Encoder(order="deterministic")


def servers(db: Db, hook: str) -> tuple[Server, ...]:
    """Who is asked, in this order."""
    every: tuple[Server, ...] = db.get(OPTIONS, SERVERS) or ()
    return tuple(each for each in every if hook in each.hooks)


@query
def _given(db: Db, key: str) -> Given | None:
    shard = db.get(EXTENSIONS, key)
    if shard is None:
        return None
    _, group, kind, *_ = key.split(".")
    return Given(names.unescape(group), names.unescape(kind), _encoder.encode(shard.object))


def given(db: Db, refs: Iterable[str]) -> tuple[Given, ...]:
    """The objects of these shards; one that nobody has sent is left out."""
    found = (_given(db, key) for key in dict.fromkeys(refs))
    return tuple(each for each in found if each is not None)


def keys(refs: Refs) -> tuple[str, ...]:
    return tuple(each.ref for each in refs)


def changed(db: Db, hook: str, name: str, resource: bytes, context: Callable[[Server], bytes] | None = None) -> bytes | None:
    """The resource as extension servers want it, each on what the one before gave; None: it may not be shown.

    Raises Pending while one of them has not answered.
    """
    for server in servers(db, hook):
        request = protocol.request(resource, context(server) if context is not None else b"")
        answer = db.get(ANSWERS, ask(server, hook, name, request))
        assert answer is not None, "an answer is never absent"
        if answer.withheld:
            return None
        resource = answer.body if answer.body is not None else resource
    return resource


def changed_route(db: Db, name: str, hostname: str, resource: bytes, resources: Refs, policies: Refs) -> bytes | None:
    """As `changed`, for a route that names objects or that policies are attached to."""
    if not (resources or policies) or not servers(db, "Route"):
        return resource
    own, attached = given(db, keys(resources)), given(db, keys(policies))
    return changed(
        db,
        "Route",
        name,
        resource,
        lambda s: protocol.route_context(of_kinds(own, s.resources), (hostname,), of_kinds(attached, s.policies)),
    )


def changed_listener(db: Db, made: Rendered, name: str, policies: Iterable[str]) -> Rendered | None:
    if not servers(db, "HTTPListener"):
        return made
    attached = given(db, policies)
    found = changed(db, "HTTPListener", name, made.body, lambda s: protocol.objects(1, of_kinds(attached, s.policies)))
    return reworked(LISTENER, found, made)


def changed_cluster(db: Db, made: Rendered, name: str, resources: tuple[str, ...]) -> Rendered | None:
    if not resources or not servers(db, "Cluster"):
        return made
    own = given(db, resources)
    found = changed(db, "Cluster", name, made.body, lambda s: protocol.objects(1, of_kinds(own, s.resources)))
    return reworked(CLUSTER, found, made)


def changed_endpoints(db: Db, made: Rendered, name: str) -> Rendered | None:
    return reworked(ENDPOINT, changed(db, "Endpoints", name, made.body), made) if servers(db, "Endpoints") else made


def reworked(type_url: str, body: bytes | None, before: Rendered | None) -> Rendered | None:
    """The resource with another body: what follows from the body is looked up there."""
    if body is None or (before is not None and body == before.body):
        return before if body is not None else None
    needs, place = before.needs if before is not None else (), ""
    if type_url == LISTENER:
        place = place_of(decode(MESSAGES[LISTENER], body))
    elif type_url == CLUSTER and not decode(MESSAGES[CLUSTER], body).HasField("eds_cluster_config"):
        needs = tuple(n for n in needs if n[0] != ENDPOINT)
    return Rendered(f"{digest(body):032x}", body, needs, place)


def place_of(listener: Any) -> str:
    """The address that a listener alone can have, written as the renderers write it."""
    at = listener.address.socket_address
    return f"{'udp ' if at.protocol else ''}{at.address}:{at.port_value}"
