"""The input: one table a kind, keyed by ObjectRef, and the indexes that answer 'who names this?' without a scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.translator.settings import Environment, TranslatorSettings
from shared.api.base import Object
from shared.api.core import ClusterTrustBundle, ConfigMap, EndpointSlice, Namespace, Secret, Service, ServiceImport
from shared.api.envoy import GROUP as ENVOY
from shared.api.envoy import Backend, EnvoyProxy
from shared.api.extension_object import ExtensionObject
from shared.api.gateway import GROUP as GATEWAY
from shared.api.gateway import Gateway, GatewayClass, ListenerSet, ReferenceGrant
from shared.api.parse import KINDS, MCS_GROUP, Invalid
from shared.api.policies import BackendTlsPolicy
from shared.api.routes import GrpcRoute, HttpRoute, HttpRouteFilterObject, StreamRoute
from shared.api.targets import PolicyObject
from shared.core.facts import Answer, Question
from shared.core.kinds import CERTIFICATES
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, Table, query
from shared.ir.status import InfraStatus, XdsStatus

OWNER_NAMESPACE = "gateway.envoyproxy.io/owning-gateway-namespace"
OWNER_NAME = "gateway.envoyproxy.io/owning-gateway-name"
OWNER_CLASS = "gateway.envoyproxy.io/owning-gatewayclass"
SERVICE_LABEL = {"kubernetes.io/service-name": "Service", "multicluster.kubernetes.io/service-name": "ServiceImport"}

Route = HttpRoute | GrpcRoute | StreamRoute

ENVIRONMENT: Table[str, Environment] = Table("environment")
NAMESPACES: Table[ObjectRef, Namespace] = Table("namespaces")
SERVICES: Table[ObjectRef, Service] = Table("services")
SERVICE_IMPORTS: Table[ObjectRef, ServiceImport] = Table("service_imports")
ENDPOINT_SLICES: Table[ObjectRef, EndpointSlice] = Table("endpoint_slices")
SECRETS: Table[ObjectRef, Secret] = Table("secrets", wanted=True)
CONFIG_MAPS: Table[ObjectRef, ConfigMap] = Table("config_maps", wanted=True)
TRUST_BUNDLES: Table[ObjectRef, ClusterTrustBundle] = Table("cluster_trust_bundles")
CLASSES: Table[ObjectRef, GatewayClass] = Table("gateway_classes")
GATEWAYS: Table[ObjectRef, Gateway] = Table("gateways")
LISTENER_SETS: Table[ObjectRef, ListenerSet] = Table("listener_sets")
GRANTS: Table[ObjectRef, ReferenceGrant] = Table("reference_grants")
ROUTES: Table[ObjectRef, Route] = Table("routes")
"""Routes of every kind: they attach, count and answer in one way."""
HTTP_ROUTE_FILTERS: Table[ObjectRef, HttpRouteFilterObject] = Table("http_route_filters")
PROXIES: Table[ObjectRef, EnvoyProxy] = Table("envoy_proxies")
BACKENDS: Table[ObjectRef, Backend] = Table("backends")
BACKEND_TLS_POLICIES: Table[ObjectRef, BackendTlsPolicy] = Table("backend_tls_policies")
POLICIES: Table[ObjectRef, PolicyObject] = Table("policies")
"""Envoy Gateway's policies of every kind: they attach, go before each other and answer in one way."""
EXTENSIONS: Table[ObjectRef, ExtensionObject] = Table("extension_objects")
"""Objects of extension servers' kinds, policies or not."""
FACTS: Table[Question, Answer] = Table("facts", wanted=True)
"""What the world outside of the cluster answered."""
INVALID: Table[ObjectRef, Invalid] = Table("invalid")
FAILED: Table[ObjectRef, str] = Table("failed")
"""Objects whose translation crashed, with what it said."""
LATE: Table[ObjectRef | Question, bool] = Table("late")
"""Wanted objects and facts that nobody answered for too long: statuses say so, shards go on waiting."""
INFRA_STATUS: Table[GatewayRef, InfraStatus] = Table("infra_status")
XDS_STATUS: Table[tuple[GatewayRef, str], XdsStatus] = Table("xds_status")

TABLES: dict[type[Object], Table[ObjectRef, Any]] = {
    Namespace: NAMESPACES,
    Service: SERVICES,
    ServiceImport: SERVICE_IMPORTS,
    EndpointSlice: ENDPOINT_SLICES,
    Secret: SECRETS,
    ConfigMap: CONFIG_MAPS,
    ClusterTrustBundle: TRUST_BUNDLES,
    GatewayClass: CLASSES,
    Gateway: GATEWAYS,
    ReferenceGrant: GRANTS,
    ListenerSet: LISTENER_SETS,
    HttpRoute: ROUTES,
    GrpcRoute: ROUTES,
    StreamRoute: ROUTES,
    HttpRouteFilterObject: HTTP_ROUTE_FILTERS,
    EnvoyProxy: PROXIES,
    Backend: BACKENDS,
    BackendTlsPolicy: BACKEND_TLS_POLICIES,
}


def table_of(ref: ObjectRef) -> Table[ObjectRef, Any] | None:
    """The table of an object's kind; None for a kind that nothing here reads."""
    kind = KINDS.get((ref.group, ref.kind))
    if kind is None:
        return None
    return POLICIES if issubclass(kind, PolicyObject) else TABLES[kind]


def _service_keys(ref: ObjectRef, service: Service) -> Iterator[tuple[str, ...]]:
    labels = service.metadata.labels
    if OWNER_NAME in labels:
        yield (ref.namespace, labels.get(OWNER_NAMESPACE, ""), labels[OWNER_NAME])
    if OWNER_CLASS in labels:
        yield (ref.namespace, labels[OWNER_CLASS])


def _slice_keys(ref: ObjectRef, row: EndpointSlice) -> Iterator[tuple[str, str, str]]:
    for label, kind in SERVICE_LABEL.items():
        if name := row.metadata.labels.get(label):
            yield (kind, ref.namespace, name)
            return


SERVICES_BY_OWNER = SERVICES.index("by_owner", _service_keys)
SLICES_BY_SERVICE = ENDPOINT_SLICES.index("by_service", _slice_keys)
GRANTS_BY_NAMESPACE = GRANTS.index("by_namespace", lambda ref, _: (ref.namespace,))
SETS_BY_GATEWAY = LISTENER_SETS.index(
    "by_gateway",
    lambda ref, s: (
        gateway_ref(s.spec.parent_ref.namespace if s.spec.parent_ref.namespace is not None else ref.namespace, s.spec.parent_ref.name),
    ),
)
POLICIES_BY_TARGET = BACKEND_TLS_POLICIES.index(
    "by_target", lambda ref, p: {ObjectRef(t.group, t.kind, ref.namespace, t.name) for t in p.spec.target_refs}
)
GATEWAYS_BY_CLASS = GATEWAYS.index("by_class", lambda _, g: (g.spec.gateway_class_name,))
GATEWAYS_BY_PROXY = GATEWAYS.index(
    "by_proxy",
    lambda ref, g: (
        (proxy_ref(ref.namespace, g.spec.infrastructure.parameters_ref.name),)
        if g.spec.infrastructure is not None and g.spec.infrastructure.parameters_ref is not None
        else ()
    ),
)
CLASSES_BY_PROXY = CLASSES.index(
    "by_proxy",
    lambda _, c: (
        (proxy_ref(c.spec.parameters_ref.namespace or "default", c.spec.parameters_ref.name),) if c.spec.parameters_ref is not None else ()
    ),
)
PATCHED = XDS_STATUS.index("by_patch_policy", lambda key, row: {(key[0], name) for name in row.patches})
"""Who has carried out an EnvoyPatchPolicy (`<namespace>/<name>`) of a fleet."""
TROUBLED = XDS_STATUS.index("by_extension_fault", lambda key, row: {key[0]} if row.extensions else ())
"""Whose extension servers do not answer as they should."""
REJECTIONS = XDS_STATUS.index("by_object", lambda key, row: {(key[0], o) for r in row.rejections for o in r.objects})


def proxy_ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(ENVOY, "EnvoyProxy", namespace, name)


def class_ref(name: str) -> ObjectRef:
    return ObjectRef(GATEWAY, "GatewayClass", "", name)


def gateway_ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(GATEWAY, "Gateway", namespace, name)


def service_import_ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(MCS_GROUP, "ServiceImport", namespace, name)


def trust_bundle(db: Db, name: str) -> bytes | None:
    """The PEM authorities of a ClusterTrustBundle."""
    row = db.get(TRUST_BUNDLES, ObjectRef(CERTIFICATES, "ClusterTrustBundle", "", name))
    return row.spec.trust_bundle.encode() if row is not None else None


def core_ref(kind: str, namespace: str, name: str) -> ObjectRef:
    return ObjectRef("", kind, namespace, name)


@query
def known_extension(db: Db, ref: ObjectRef) -> bool:
    """Whether there is such an object of an extension server's. Who names it does not run again when the rest of it changes."""
    return db.get(EXTENSIONS, ref) is not None


def environment(db: Db) -> Environment:
    found = db.get(ENVIRONMENT, "")
    assert found is not None, "a Translator sets its environment first"
    return found


def settings(db: Db) -> TranslatorSettings:
    return environment(db).settings
