"""How the reference cases reach Headgate: plain objects in, assembled IR and statuses out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from services.resource_watcher.stages.statuses import bounded
from services.translator.settings import Extensions, TranslatorSettings
from services.translator.stages.tables import OWNER_NAME, OWNER_NAMESPACE
from services.translator.translator import Outputs, Translator
from shared.core.refs import ObjectRef
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.ir.assemble import assemble
from shared.ir.base import encode
from shared.ir.shards import parse
from shared.ir.status import StatusPart
from tests.answering import answered


def open_plain(value: str) -> bytes:
    """Reference cases hold Secrets as Kubernetes does: base64."""
    return base64.b64decode(value)


def ref_of(obj: dict[str, Any]) -> ObjectRef:
    group, _, _ = obj.get("apiVersion", "").rpartition("/")
    return ObjectRef(group, obj["kind"], obj["metadata"].get("namespace") or "", obj["metadata"]["name"])


def _extensions(settings: dict[str, Any], objects: list[dict[str, Any]]) -> Extensions:
    """Cases name what routes may refer to; whatever else is unknown there is a policy."""
    manager = settings.get("extensionManager")
    if manager is None:
        return Extensions()
    resources = frozenset((k["group"], k["kind"]) for field in ("resources", "backendResources") for k in manager.get(field) or ())
    groups = {group for group, _ in resources}
    others = {(ref.group, ref.kind) for ref in map(ref_of, objects) if ref.group in groups} - resources
    return Extensions(resources, frozenset(others))


def settings_of(settings: dict[str, Any], objects: list[dict[str, Any]] = ()) -> TranslatorSettings:  # type: ignore[assignment]
    # cases with an extension manager were recorded by a controller that was told no namespace
    namespace = "" if settings.get("extensionManager") is not None else settings.get("controllerNamespace") or "envoy-gateway-system"
    return TranslatorSettings(
        controller_namespace=namespace,
        gateway_namespace_mode=bool(settings.get("gatewayNamespaceMode")),
        running_on_host=bool(settings.get("runningOnHost")),
        backend=bool(settings.get("backend")),
        envoy_patch_policy=bool(settings.get("envoyPatchPolicy")),
        disable_lua=bool(settings.get("luaDisabled")),
        sds=bool(settings.get("sds")),
        per_resource_system_ca_secret=bool(settings.get("perResourceSystemCASecret")),
        envoy_proxy=settings.get("envoyProxy"),
        extensions=_extensions(settings, objects),
        rate_limit=RateLimitService(host="envoy-ratelimit.envoy-gateway-system.svc.cluster.local", port=8081),
    )


_AGED = (
    *("Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "EndpointSlice"),
    *("BackendTLSPolicy", "BackendTrafficPolicy", "ClientTrafficPolicy", "EnvoyPatchPolicy", "SecurityPolicy", "EnvoyExtensionPolicy"),
)


_FREE = ("labels", "annotations", "matchLabels", "data", "stringData", "value", "nodeSelector", "resources", "attributes", "literal")


def in_go_spelling(value: Any) -> Any:
    """Go reads field names in any case, and a few cases make use of it; an API server would drop or refuse what they write."""
    if isinstance(value, dict):
        fixed = {k[:1].lower() + k[1:] if k[:1].isupper() and not k.isupper() else k: v for k, v in value.items()}
        if isinstance(fixed.get("backoff"), dict):  # a policy's; a route's is a duration, and is spelled so
            fixed["backOff"] = fixed.pop("backoff")
        return {k: v if k in _FREE else in_go_spelling(v) for k, v in fixed.items()}
    return [in_go_spelling(v) for v in value] if isinstance(value, list) else value


def with_ages(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cases hold Gateways, routes and slices in an order that counts there; here ages decide, so they say the same."""
    aged = [o for o in objects if o["kind"] in _AGED]
    ages = {id(o): f"2000-01-01T{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}Z" for i, o in enumerate(aged)}
    every = [{**o, "metadata": {**o["metadata"], "creationTimestamp": ages[id(o)]}} if id(o) in ages else o for o in objects]
    return [{**o, "spec": in_go_spelling(o["spec"])} if "spec" in o else o for o in every]


def _own_services(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fleets' own Services, which cases with an extension manager were recorded with, in no namespace, but do not show."""
    out: list[dict[str, Any]] = []
    for gateway in (o["metadata"] for o in objects if o["kind"] == "Gateway"):
        at = f"{gateway['namespace']}/{gateway['name']}"
        name = f"envoy-{at.replace('/', '-')}-{hashlib.sha256(at.encode()).hexdigest()[:8]}"
        owner = {OWNER_NAMESPACE: gateway["namespace"], OWNER_NAME: gateway["name"]}
        ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
        out.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": owner}, "spec": {"ports": ports}})
        meta = {"name": name, "labels": {"kubernetes.io/service-name": name}}
        own = [{"addresses": ["7.6.5.4"], "zone": "zone1", "conditions": {"ready": True}}]
        group = "discovery.k8s.io/v1"
        made = {"apiVersion": group, "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": own}
        out.append(made)
    return out


def _show_policy_statuses(xds: dict[str, Any], statuses: list[dict[str, Any]]) -> None:
    """Envoy Gateway's IR shows extension servers' policies with their statuses; ours keeps statuses apart, so the two are joined here."""
    known = {(s["kind"], s["namespace"], s["name"]): s["status"] for s in statuses if s["status"].get("ancestors")}
    todo: list[Any] = list(xds.values())
    while todo:
        each = todo.pop()
        if isinstance(each, list):
            todo += each
        elif isinstance(each, dict):
            found = each.get("object")
            if isinstance(found, dict):
                status = known.get((found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]))
                if status is not None:
                    found["status"] = {"ancestors": [_untimed(a) for a in status["ancestors"]]}
            todo += each.values()


def _untimed(ancestor: dict[str, Any]) -> dict[str, Any]:
    shown = ("type", "status", "reason", "message")
    conditions = [{k: c[k] for k in shown} | {"lastTransitionTime": None} for c in ancestor["conditions"]]
    return {**ancestor, "conditions": conditions}


def translated(objects: list[dict[str, Any]], settings: dict[str, Any]) -> Outputs:
    """Everything that a fresh translator makes of the objects, every wanted object that is not among them being absent."""
    if settings.get("extensionManager") is not None:
        objects = objects + _own_services(objects)
    translator = Translator(settings_of(settings, objects), open_plain)
    return answered(translator, translator.apply({ref_of(o): o for o in with_ages(objects)}))


def translate(objects: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    outputs = translated(objects, settings)
    statuses = merged_statuses(outputs.statuses.values(), objects)
    xds = {}
    for fleet, shards in outputs.shards.items():
        whole = {key: parse(key, data) for key, data in shards.items() if data is not None}
        xds[str(fleet)] = json.loads(encode(assemble(whole)))
    infra = {str(fleet): json.loads(data) for fleet, data in outputs.infra.items() if data is not None}
    proxies = {(s["namespace"], s["name"]): s["status"] for s in statuses if s["kind"] == "EnvoyProxy"}
    for each in infra.values():
        _show_proxy_status(each, proxies)
    patches = {(s["namespace"], s["name"]): s["status"] for s in statuses if s["kind"] == "EnvoyPatchPolicy"}
    written = [o["metadata"]["name"] for o in objects if o["kind"] == "EnvoyPatchPolicy"]
    for ir in xds.values():
        # Envoy Gateway sorts them by priority before it translates, which cases do not show
        ir.get("envoyPatchPolicies", []).sort(key=lambda each: written.index(each["name"]))
        for each in ir.get("envoyPatchPolicies", ()):
            each["status"] = patches[each["namespace"], each["name"]]
    _show_policy_statuses(xds, statuses)
    return {"xdsIR": xds, "infraIR": infra, "status": statuses}


def _show_proxy_status(infra: dict[str, Any], proxies: dict[tuple[str, str], Any]) -> None:
    """Envoy Gateway's infra IR shows the EnvoyProxy with its status; ours keeps statuses apart, so the two are joined here."""
    config = (infra.get("proxy") or {}).get("config")
    if config is None:
        return
    meta = config.get("metadata", {})
    status = proxies.get((meta.get("namespace") or "", meta.get("name") or ""))
    ancestors = [a for a in (status or {}).get("ancestors", ()) if a["ancestorRef"]["kind"] == "Gateway"]
    if ancestors:
        config["status"] = {"ancestors": ancestors}


def merged_statuses(parts: Iterable[StatusPart | None], objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts joined into whole statuses as the status writer does; parents in the order in which the object names them."""
    by_ref: dict[ObjectRef, list[StatusPart]] = {}
    for part in parts:
        if part is not None:
            by_ref.setdefault(ObjectRef(part.group, part.kind, part.namespace, part.name), []).append(part)
    specs = {ref_of(o): o.get("spec") or {} for o in objects}
    found = []
    for ref, own in by_ref.items():
        status: dict[str, Any] = {}
        for part in sorted(own, key=lambda p: p.gateway):
            for field, value in part.status.items():
                status[field] = status.get(field, []) + value if isinstance(value, list) else value
        order = specs.get(ref, {}).get("parentRefs") or []
        if "parents" in status:
            status["parents"].sort(key=lambda p: order.index(p["parentRef"]) if p["parentRef"] in order else len(order))
        if "ancestors" in status:
            targets = [t["name"] for t in specs.get(ref, {}).get("targetRefs") or [] if isinstance(t, dict)]
            status["ancestors"].sort(key=lambda a: targets.index(a["ancestorRef"]["name"]) if a["ancestorRef"]["name"] in targets else 0)
        found.append({"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "status": bounded(json.loads(encode(status)))})
    # a policy that concerns nobody is told nothing; cases show that as an empty status
    silent = (ref for ref in specs if ref.kind.endswith("Policy") and ref not in by_ref)
    return found + [{"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "status": {}} for ref in silent]


def render(ir: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    from tests.golden import render_adapter

    return render_adapter.render(ir, settings)


def ratelimit(http: list[dict[str, Any]]) -> dict[str, Any]:
    from tests.golden import limits_adapter

    return limits_adapter.ratelimit(http)
