"""The AI gateway as an extension server: what AI routes, their clusters and the listeners that they stand in become. Pure but for logs.

What is to be changed is known by what it is: a route by the AIRoute that it names, a listener by the routes that it leads to. Whatever
belongs to the control plane itself leads to none of them, and a listener's or namespace's name is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from examples.ai_gateway import envoy
from examples.ai_gateway.compiling import UNKNOWN, rule_number
from examples.ai_gateway.kinds import GROUP, BackendSpec, Endpoint, backend_spec, route_spec
from examples.ai_gateway.target import Target, target, written
from shared.extension.contexts import ClusterContext, Object, RouteContext, Translation, TranslationContext
from shared.extension.server import Extension
from shared.xds.message import TYPE_PREFIX, build, decode

log = structlog.get_logger("ai-gateway")

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LATER = ("local_ratelimit.v3.LocalRateLimit", "ratelimit.v3.RateLimit", "credential_injector.v3.CredentialInjector", "router.v3.Router")
"""Types of filters that go by the route, and so come after the one that has it chosen anew."""


class AiGateway(Extension):
    """`processor`: host and port where Envoys find the external processor; `signing`: the key that it knows its targets by."""

    def __init__(self, processor: tuple[str, int], signing: bytes = b"") -> None:
        self._processor = processor
        self._signing = signing

    async def route(self, route: Any, context: RouteContext) -> Any:
        if _one(context.resources, "AIRoute") is None:
            return None
        route.typed_per_filter_config[envoy.FILTER].CopyFrom(build("google.protobuf.Any", envoy.per_route()))
        route.request_body_buffer_limit.value = envoy.LARGEST
        if route.WhichOneof("action") == "route":
            action = route.route
            action.auto_host_rewrite.value = True
            if not action.HasField("timeout"):
                # an answer may take its time
                action.timeout.SetInParent()
            backends = sum(o.kind == "AIBackend" for o in context.resources)
            if backends > 1 and not action.HasField("retry_policy"):
                action.retry_policy.CopyFrom(build("envoy.config.route.v3.RetryPolicy", envoy.retry_policy(backends)))
        return route

    async def cluster(self, cluster: Any, context: ClusterContext) -> Any:
        found = _one(context.resources, "AIRoute")
        if found is None:
            return None
        spec, section = route_spec(found.raw), _section(cluster)
        number = rule_number(section)
        if section != UNKNOWN and (number is None or number >= len(spec.rules)):
            return None
        backends = {(o.namespace, o.name): o for o in context.resources if o.kind == "AIBackend"}
        cluster.ClearField("load_assignment")
        cluster.ClearField("eds_cluster_config")
        cluster.ClearField("transport_socket")
        cluster.ClearField("transport_socket_matches")
        cluster.type = cluster.STRICT_DNS
        cluster.load_assignment.cluster_name = cluster.name
        cluster.per_connection_buffer_limit_bytes.value = envoy.LARGEST
        if number is None:
            nobody = BackendSpec(Endpoint(*self._processor))
            told = written(
                Target(f"{found.namespace}/{found.name}", "", UNKNOWN, "OpenAI", "", spec.path_prefix, unknown=True), self._signing
            )
            _endpoint(cluster, 0, nobody, told, UNKNOWN)
        for priority, ref in enumerate(spec.rules[number].backends if number is not None else ()):
            namespace = ref.namespace or found.namespace
            backend = backend_spec(backends[namespace, ref.name].raw)
            told = written(target(f"{found.namespace}/{found.name}", spec.path_prefix, ref, namespace, backend), self._signing)
            _endpoint(cluster, priority, backend, told, f"{namespace}/{ref.name}")
        _with_filters(cluster, http2=number is None)
        return cluster

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        names = {config.name for config in resources.routes if any(_is_ai(route) for host in config.virtual_hosts for route in host.routes)}
        if not names:
            return resources
        changed = [listener.name for listener in resources.listeners if _served(listener, names)]
        log.debug("listeners served", listeners=changed, of=len(resources.listeners))
        mine = build("envoy.config.cluster.v3.Cluster", envoy.processor_cluster(*self._processor))
        return resources._replace(clusters=[*(c for c in resources.clusters if c.name != envoy.PROCESSOR), mine])


def _one(resources: tuple[Object, ...], kind: str) -> Object | None:
    return next((o for o in resources if o.kind == kind and o.api_version.startswith(f"{GROUP}/")), None)


def _section(cluster: Any) -> str:
    """Name of the rule that a cluster is for, as its metadata says."""
    of = cluster.metadata.filter_metadata["envoy-gateway"].fields["resources"].list_value.values
    return of[0].struct_value.fields["sectionName"].string_value if of else ""


def _endpoint(cluster: Any, priority: int, spec: BackendSpec, told: str, key: str) -> None:
    locality = build("envoy.config.endpoint.v3.LocalityLbEndpoints", envoy.locality(priority, spec, told, key))
    cluster.load_assignment.endpoints.append(locality)
    socket = build("envoy.config.cluster.v3.Cluster.TransportSocketMatch", envoy.transport_socket(spec, key))
    cluster.transport_socket_matches.append(socket)


def _with_filters(cluster: Any, *, http2: bool) -> None:
    options = cluster.typed_extension_protocol_options
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    before = decode(name, options[name].value) if name in options else None
    options[name].type_url = TYPE_PREFIX + name
    options[name].value = envoy.http_options(before, http2).SerializeToString(deterministic=True)


def _is_ai(route: Any) -> bool:
    return envoy.FILTER in route.typed_per_filter_config


def _managers(listener: Any) -> Iterator[Any]:
    """The filters of a listener that are HTTP connection managers."""
    chains = [*listener.filter_chains, *([listener.default_filter_chain] if listener.HasField("default_filter_chain") else [])]
    for chain in chains:
        yield from (f for f in chain.filters if f.typed_config.type_url == TYPE_PREFIX + _MANAGER)


def _served(listener: Any, names: set[str]) -> bool:
    """Puts the filter into a listener whose route configuration has AI routes."""
    served = False
    for each in _managers(listener):
        manager = decode(_MANAGER, each.typed_config.value)
        name = manager.rds.route_config_name if manager.HasField("rds") else manager.route_config.name
        if name not in names or any(f.name == envoy.FILTER for f in manager.http_filters):
            continue
        filters = list(manager.http_filters)
        at = next((n for n, f in enumerate(filters) if f.typed_config.type_url.endswith(_LATER)), len(filters))
        mine = build("envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter", envoy.front_filter())
        manager.ClearField("http_filters")
        manager.http_filters.extend([*filters[:at], mine, *filters[at:]])
        each.typed_config.value = manager.SerializeToString(deterministic=True)
        served = True
    return served
