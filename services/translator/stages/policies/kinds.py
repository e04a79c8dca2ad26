"""The kinds of policies that attach to routes and listeners, a row each: what the engine must know of them, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from services.translator.stages.policies import client, extension, security, traffic
from services.translator.stages.policies.built import Built, Effective, Routed
from shared.core.merging import Keys
from shared.core.refs import ObjectRef
from shared.incremental import Db


class Kind(NamedTuple):
    """`deprecated` says which fields a spec uses that others replace; `plural` is for sentences.

    Of policies for routes: `field` is the kind's place in what a route names (`shared.ir.policy.Policies`) and its content in a
    PolicyShard; `build` makes the IR of one policy at one Gateway; `routes` are the kinds it can target; `lists` are those that a
    strategic merge keeps by key; `aside` are fields of the shard that are read from the spec alone; `kept_when_refused`: what could
    be built stays in force although routes answer 500.

    Of policies for listeners: `apply` makes another listener of a listener, and may ask for the hostnames of its routes.
    """

    name: str
    plural: str
    deprecated: Callable[[Any], Mapping[str, str]]
    field: str = ""
    routes: tuple[str, ...] = ()
    build: Callable[[Db, Effective[Any], ObjectRef], Built[Any]] | None = None
    apply: Callable[[Db, Effective[Any], Any, Routed], Built[Any]] | None = None
    lists: Keys = MappingProxyType({})
    aside: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})
    kept_when_refused: bool = False


ROUTE_KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")

_KINDS: tuple[Kind, ...] = (
    Kind("ClientTrafficPolicy", "clientTrafficPolicies", client.deprecated, apply=client.build),
    Kind(
        "BackendTrafficPolicy",
        "backendTrafficPolicies",
        traffic.deprecated,
        field="traffic",
        routes=ROUTE_KINDS,
        build=traffic.build,
        lists=traffic.LISTS,
        aside=MappingProxyType({"use_client_protocol": lambda spec: spec.use_client_protocol, "route_stat_name": traffic.stat_name}),
        kept_when_refused=True,
    ),
    Kind(
        "SecurityPolicy",
        "securityPolicies",
        security.deprecated,
        field="security",
        routes=("HTTPRoute", "GRPCRoute", "TCPRoute"),
        build=security.build,
        lists=MappingProxyType({"extAuth.contextExtensions": "name"}),
        kept_when_refused=True,
    ),
    Kind(
        "EnvoyExtensionPolicy",
        "envoyExtensionPolicies",
        extension.deprecated,
        field="envoy_extensions",
        routes=("HTTPRoute", "GRPCRoute"),
        build=extension.build,
    ),
)

KINDS = {kind.name: kind for kind in _KINDS}
FOR_ROUTES = {name: kind for name, kind in KINDS.items() if kind.build is not None}
