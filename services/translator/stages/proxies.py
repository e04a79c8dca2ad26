"""Which EnvoyProxy a fleet runs with: the Gateway's over the class's over the configuration's defaults."""

from __future__ import annotations

from typing import Any

import msgspec

from services.translator.stages.tables import CLASSES, GATEWAYS, INVALID, PROXIES, class_ref, proxy_ref, settings
from shared.api.envoy import GROUP, EnvoyProxySpec
from shared.api.gateway import Gateway, ParametersReference
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, query

_LISTS_BY_NAME = ("env", "volumes", "volumeMounts", "initContainers", "imagePullSecrets", "containers")


class Effective(msgspec.Struct, frozen=True):
    """`raw` is the merged object as infrastructure gets it; `source` the EnvoyProxy that the Gateway itself names."""

    raw: dict[str, Any] | None = None
    spec: EnvoyProxySpec = EnvoyProxySpec()
    source: ObjectRef | None = None
    problem: str | None = None
    warning: str | None = None


class ClassProxy(msgspec.Struct, frozen=True):
    """What a class's parametersRef comes to. A problem makes the class unusable."""

    ref: ObjectRef | None = None
    problem: str | None = None


def _refers_to_proxy(ref: ParametersReference) -> bool:
    return ref.group == GROUP and ref.kind == "EnvoyProxy"


@query
def class_proxy(db: Db, name: str) -> ClassProxy:
    row = db.get(CLASSES, class_ref(name))
    ref = row.spec.parameters_ref if row is not None else None
    if ref is None:
        return ClassProxy()
    if not _refers_to_proxy(ref):
        return ClassProxy(problem=f"unsupported parametersRef for gatewayclass {name}: {ref.group}/{ref.kind}")
    target = proxy_ref(ref.namespace if ref.namespace is not None else "default", ref.name)
    problem = proxy_problem(db, target)
    return ClassProxy(ref=target, problem=problem)


@query
def proxy_problem(db: Db, ref: ObjectRef) -> str | None:
    """Why an EnvoyProxy cannot be used; None where it can."""
    if (invalid := db.get(INVALID, ref)) is not None:
        return invalid.message
    row = db.get(PROXIES, ref)
    if row is None:
        return f"envoyproxy {ref.namespace}/{ref.name} not found"
    return _fault(row.raw.get("spec", {}))


def _map(value: Any, *path: str) -> dict[str, Any]:
    """What stands at a path, if it is a mapping; the parts that only infrastructure reads have no struct here."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _fault(spec: dict[str, Any]) -> str | None:
    provider = _map(spec, "provider")
    if provider:
        if provider.get("type") not in ("Kubernetes", "Host"):
            return f"unsupported provider type {provider.get('type')}"
        if provider["type"] == "Host" and provider.get("host") is None:
            return "field 'host' should be specified when provider type is 'Host'"
        for part in ("envoyDeployment", "envoyDaemonSet", "envoyService", "envoyHpa", "envoyPDB"):
            own = _map(provider, "kubernetes").get(part)
            if own is not None and not isinstance(own, dict):
                return f"spec.provider.kubernetes.{part} must be an object"
            patch = _map(own, "patch")
            if patch and patch.get("value") is None:
                return f"{part} patch object cannot be empty"
            if patch and patch.get("type") not in (None, "JSONMerge", "StrategicMerge"):
                return f"unsupported {part} patch type {patch.get('type')}"
        service_type = _map(provider, "kubernetes", "envoyService").get("type")
        if service_type not in (None, "LoadBalancer", "ClusterIP", "NodePort"):
            return f"unsupported envoy service type {service_type}"
    for setting in _map(spec, "telemetry", "accessLog").get("settings") or ():
        form = _map(setting, "format")
        if form.get("type") == "Text" and form.get("text") is None:
            return 'unable to configure access log when using Text format but "text" field being empty'
        for sink in setting.get("sinks") or ():
            field = {"File": "file", "OpenTelemetry": "openTelemetry"}.get(sink.get("type"))
            if field and sink.get(field) is None:
                return f'unable to configure access log when using {sink["type"]} sink type but "{field}" field being empty'
    return None


@query
def merges_gateways(db: Db, class_name: str) -> bool:
    """Whether all Gateways of a class share one fleet."""
    at = class_proxy(db, class_name)
    row = db.get(PROXIES, at.ref) if at.ref is not None else None
    if row is not None and row.spec.merge_gateways is not None:
        return row.spec.merge_gateways
    return bool((settings(db).envoy_proxy or {}).get("mergeGateways"))


@query
def effective(db: Db, gateway: ObjectRef) -> Effective:
    """The merged EnvoyProxy of one Gateway."""
    row = db.get(GATEWAYS, gateway)
    if row is None:
        return Effective()
    name = row.spec.gateway_class_name
    named = row.spec.infrastructure.parameters_ref if row.spec.infrastructure is not None else None
    if named is not None and not _refers_to_proxy(named):
        # this one can never be meant for us; one that is only missing may come, and the Gateway goes on without it
        return Effective(problem=f"unsupported parametersRef for gateway {gateway.namespace}/{gateway.name}: {named.group}/{named.kind}")
    own, warning = _own_proxy(db, gateway, row)
    if own is not None and (problem := proxy_problem(db, own)) is not None:
        return Effective(source=own, problem=problem)
    at = class_proxy(db, name)
    of_class = db.get(PROXIES, at.ref) if at.ref is not None else None
    of_gateway = db.get(PROXIES, own) if own is not None else None
    defaults = settings(db).envoy_proxy
    merge_gateway = of_gateway.spec.merge_type if of_gateway is not None else None
    merge_class = of_class.spec.merge_type if of_class is not None and of_class.spec.merge_type is not None else merge_gateway
    merged = _merge(of_class.raw if of_class else None, of_gateway.raw if of_gateway else None, merge_gateway)
    raw = _merge({"metadata": {}, "spec": defaults} if defaults is not None else None, merged, merge_class)
    spec = msgspec.convert(raw.get("spec", {}), EnvoyProxySpec) if raw is not None else EnvoyProxySpec()
    return Effective(raw=raw, spec=spec, source=own, warning=warning)


def _own_proxy(db: Db, gateway: ObjectRef, row: Gateway) -> tuple[ObjectRef | None, str | None]:
    """The EnvoyProxy that a Gateway names, or why it is left aside; a missing one must not take the Gateway down."""
    ref = row.spec.infrastructure.parameters_ref if row.spec.infrastructure is not None else None
    if ref is None:
        return None, None
    if merges_gateways(db, row.spec.gateway_class_name):
        return None, "infrastructure.parametersRef has no effect where the GatewayClass merges its Gateways"
    own = proxy_ref(gateway.namespace, ref.name)
    if db.get(INVALID, own) is None and db.get(PROXIES, own) is None:
        return None, f"failed to find envoyproxy {own.namespace}/{own.name} for Gateway {gateway.name}"
    return own, None


def _merge(base: dict[str, Any] | None, over: dict[str, Any] | None, kind: str | None) -> dict[str, Any] | None:
    if base is None or over is None or kind in (None, "Replace"):
        return over if over is not None else base
    merged: dict[str, Any] = merge_json(base, over, strategic=kind == "StrategicMerge")
    return merged


def merge_json(base: Any, over: Any, strategic: bool) -> Any:
    """RFC 7396; a strategic merge also joins the lists that Kubernetes keys by name."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if strategic and key in _LISTS_BY_NAME and isinstance(old, list) and isinstance(value, list):
            result[key] = _merge_named(old, value)
        else:
            result[key] = merge_json(old, value, strategic)
    return result


def _merge_named(old: list[Any], new: list[Any]) -> list[Any]:
    named = {e.get("name"): e for e in old}
    fresh = {e.get("name"): merge_json(named.get(e.get("name")), e, strategic=True) for e in new}
    return [*fresh.values(), *(e for name, e in named.items() if name not in fresh)]


@query
def fleet_of(db: Db, gateway: ObjectRef) -> GatewayRef:
    """The fleet that serves a Gateway: its own, or its class's where Gateways are merged."""
    row = db.get(GATEWAYS, gateway)
    if row is not None and merges_gateways(db, row.spec.gateway_class_name):
        return GatewayRef("", row.spec.gateway_class_name)
    return GatewayRef(gateway.namespace, gateway.name)
