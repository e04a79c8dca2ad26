"""Objects that read like sentences, and a translator to put them into."""

from __future__ import annotations

import base64
from typing import Any

from services.translator.settings import TranslatorSettings
from services.translator.translator import Outputs, Translator
from shared.core.refs import GatewayRef, ObjectRef
from shared.ir.assemble import assemble
from shared.ir.gateway import Xds
from shared.ir.shards import parse

GATEWAY_API, ENVOY = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
FLEET = GatewayRef("default", "eg")

Object = dict[str, Any]


def ref_of(obj: Object) -> ObjectRef:
    group = obj["apiVersion"].rpartition("/")[0]
    return ObjectRef(group, obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def made(api: str, kind: str, name: str, spec: Any, namespace: str = "default", **more: Any) -> Object:
    metadata = {"name": name, "generation": 1, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec, **more}


def gateway_class(name: str = "eg", **spec: Any) -> Object:
    return made(f"{GATEWAY_API}/v1", "GatewayClass", name, {"controllerName": f"{ENVOY}/gatewayclass-controller", **spec}, namespace="")


def http(name: str = "http", port: int = 80, **more: Any) -> Object:
    return {"name": name, "port": port, "protocol": "HTTP", **more}


def https(name: str = "https", port: int = 443, secret: str = "cert", **more: Any) -> Object:
    return {"name": name, "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": secret}]}, **more}


def gateway(*listeners: Object, name: str = "eg", **spec: Any) -> Object:
    return made(f"{GATEWAY_API}/v1", "Gateway", name, {"gatewayClassName": "eg", "listeners": list(listeners) or [http()], **spec})


def route(name: str = "app", path: str = "/", service: str = "app", parent: str = "eg", **more: Any) -> Object:
    rule = {"matches": [{"path": {"value": path}}], "backendRefs": [{"name": service, "port": 80}], **more.pop("rule", {})}
    return made(f"{GATEWAY_API}/v1", "HTTPRoute", name, {"parentRefs": [{"name": parent}], "rules": [rule], **more})


def grpc_route(name: str = "rpc", method: Object | None = None, service: str = "app", parent: str = "eg", **more: Any) -> Object:
    rule = {"matches": [{"method": method}] if method else [], "backendRefs": [{"name": service, "port": 80}], **more.pop("rule", {})}
    return made(f"{GATEWAY_API}/v1", "GRPCRoute", name, {"parentRefs": [{"name": parent}], "rules": [rule], **more})


def stream_route(kind: str, name: str = "db", service: str = "app", port: int = 80, parent: str = "eg", **more: Any) -> Object:
    """A TLSRoute, TCPRoute or UDPRoute."""
    rules = [{"backendRefs": [{"name": service, "port": port}]}]
    return made(f"{GATEWAY_API}/v1", kind, name, {"parentRefs": [{"name": parent}], "rules": rules, **more})


def listener(protocol: str, name: str, port: int, **more: Any) -> Object:
    return {"name": name, "port": port, "protocol": protocol, **more}


def listener_set(name: str = "more", *listeners: Object, parent: str = "eg", namespace: str = "default") -> Object:
    spec = {"parentRef": {"name": parent, "namespace": "default"}, "listeners": list(listeners)}
    return made(f"{GATEWAY_API}/v1", "ListenerSet", name, spec, namespace=namespace)


def service(name: str = "app", **spec: Any) -> Object:
    return made("v1", "Service", name, {"clusterIP": "10.0.0.1", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}], **spec})


def endpoints(name: str = "app", *addresses: str, **conditions: bool) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "default", "name": f"{name}-slice", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "conditions": {"ready": True, **conditions}} for a in addresses],
    }


def quickstart() -> list[Object]:
    return [gateway_class(), gateway(), route(), service(), endpoints("app", "10.1.1.1")]


class World:
    """A translator with everything that it has put out so far."""

    def __init__(self, *objects: Object, **settings: Any) -> None:
        self.time = 0.0
        self.translator = Translator(TranslatorSettings(**settings), base64.b64decode, clock=lambda: self.time)
        self.shards: dict[GatewayRef, dict[str, bytes]] = {}
        self.infra: dict[GatewayRef, bytes] = {}
        self.statuses: dict[tuple[ObjectRef, str], dict[str, Any]] = {}
        self.last = self.put(*objects)

    def put(self, *objects: Object) -> Outputs:
        return self.took(self.translator.apply({ref_of(o): o for o in objects}))

    def drop(self, *objects: Object) -> Outputs:
        return self.took(self.translator.apply({ref_of(o): None for o in objects}))

    def took(self, outputs: Outputs) -> Outputs:
        for fleet in outputs.removed:
            self.shards.pop(fleet, None)
        for fleet, changes in outputs.shards.items():
            own = self.shards.setdefault(fleet, {})
            for key, data in changes.items():
                if data is None:
                    del own[key]
                else:
                    own[key] = data
        for fleet, data in outputs.infra.items():
            if data is None:
                del self.infra[fleet]
            else:
                self.infra[fleet] = data
        for at, part in outputs.statuses.items():
            if part is None:
                del self.statuses[at]
            else:
                self.statuses[at] = part.status
        self.last = outputs
        return outputs

    def ir(self, fleet: GatewayRef = FLEET) -> Xds:
        return assemble({key: parse(key, data) for key, data in self.shards[fleet].items()})

    def status(self, obj: Object, gateway: str = "default/eg") -> dict[str, Any]:
        return self.statuses[ref_of(obj), gateway]

    def condition(self, obj: Object, kind: str, gateway: str = "default/eg") -> tuple[str, str]:
        """(status, reason) of a condition of the object, or of its first parent or ancestor."""
        status = self.status(obj, gateway)
        for field in ("parents", "ancestors"):
            if field in status:
                status = status[field][0]
        return next((c["status"], c["reason"]) for c in status["conditions"] if c["type"] == kind)
