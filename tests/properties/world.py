"""A small world into which strange objects are thrown: two Gateways that have nothing to do with each other, and what they need."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from services.cli.certgen import certificates
from services.translator.settings import TranslatorSettings
from services.translator.translator import Outputs, Translator
from shared.core.refs import GatewayRef, ObjectRef
from tests.answering import answered

G, E = "gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1"
STEADY = GatewayRef("steady", "steady")
Object = Mapping[str, Any]


def ref_of(obj: Object) -> ObjectRef:
    group, _, _ = obj["apiVersion"].rpartition("/")
    return ObjectRef(group, obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def made(api: str, kind: str, namespace: str, name: str, **rest: Any) -> Object:
    metadata = {"name": name, "creationTimestamp": "2000-01-01T00:00:00Z", "labels": {"app": "1"}} | (
        {"namespace": namespace} if namespace else {}
    )
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _encoded(data: bytes | str) -> str:
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def _service(namespace: str) -> list[Object]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    labels = {"kubernetes.io/service-name": "svc"}
    entries = [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    slices = made(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, "svc-1", addressType="IPv4", ports=[ports[0] | {"port": 8080}], endpoints=entries
    )
    return [
        made("v1", "Service", namespace, "svc", spec={"clusterIP": "10.9.9.9", "ports": ports}),
        {**slices, "metadata": {**slices["metadata"], "labels": labels}},
    ]


PORTS: Mapping[str, int] = {"http": 80, "https": 443, "tls": 8443, "tcp": 9000, "udp": 9001}


def _gateway(namespace: str, name: str, ports: Mapping[str, int] = PORTS, **rest: Any) -> Object:
    terminated = {"certificateRefs": [{"name": "secret"}]}
    listeners = [
        {"name": "http", "port": ports["http"], "protocol": "HTTP"},
        {"name": "https", "port": ports["https"], "protocol": "HTTPS", "tls": terminated, "hostname": "*.example.com"},
        {"name": "tls", "port": ports["tls"], "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "tcp", "port": ports["tcp"], "protocol": "TCP"},
        {"name": "udp", "port": ports["udp"], "protocol": "UDP"},
    ]
    spec = {"gatewayClassName": "eg", "listeners": listeners, "allowedListeners": {"namespaces": {"from": "Same"}}, **rest}
    return made(G, "Gateway", namespace, name, spec=spec)


def _route(namespace: str, name: str, gateway: str, **rule: Any) -> Object:
    rules = [{"name": "rule", "backendRefs": [{"name": "svc", "port": 80}]} | rule]
    return made(G, "HTTPRoute", namespace, name, spec={"parentRefs": [{"name": gateway}], "rules": rules})


def _secret(namespace: str) -> Object:
    _, pairs = certificates(hosts=("example.com",))
    pair = pairs["envoy"]
    data = {"tls.crt": _encoded(pair.certificate), "tls.key": _encoded(pair.key), "ca.crt": _encoded(pair.certificate)}
    return made("v1", "Secret", namespace, "secret", data=data)


def objects(ports: Mapping[str, int] = PORTS) -> list[Object]:
    out = [made(G, "GatewayClass", "", "eg", spec={"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"})]
    for namespace, gateway in (("default", "gw"), ("steady", "steady")):
        out += [_gateway(namespace, gateway, ports), _route(namespace, "route", gateway), _secret(namespace), *_service(namespace)]
    out.append(made("v1", "ConfigMap", "default", "config", data={"a": "1", "ca.crt": "x", "jwks": "{}"}))
    out.append(made(E, "Backend", "default", "backend", spec={"endpoints": [{"fqdn": {"hostname": "example.com", "port": 80}}]}))
    parameters = {"parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "x"}}
    out.append(_gateway("default", "proxied", infrastructure=parameters))
    reference = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "x"}
    out.append(_route("default", "filtered", "gw", filters=[{"type": "ExtensionRef", "extensionRef": reference}]))
    out.append(_route("default", "backed", "gw", backendRefs=[{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "x"}]))
    out.append(_route("default", "proxied", "proxied"))
    return out


class World:
    """A translator with all of that in it; `throw` adds one object, answers what it asks for and gives back what changed."""

    def __init__(self, ports: Mapping[str, int] = PORTS, *, on_host: bool = False) -> None:
        self._objects = {ref_of(o): o for o in objects(ports)}
        settings = TranslatorSettings(backend=True, envoy_patch_policy=True, running_on_host=on_host)
        self.translator = Translator(settings, base64.b64decode)
        self.shards: dict[GatewayRef, dict[str, bytes]] = {}
        self._take(self.translator.apply(self._objects))

    def throw(self, obj: Object) -> Outputs:
        return self._take(self.translator.apply({ref_of(obj): obj}))

    def take_back(self, obj: Object) -> Outputs:
        return self._take(self.translator.apply({ref_of(obj): None}))

    def _take(self, outputs: Outputs) -> Outputs:
        answered(self.translator, outputs)
        for fleet, shards in outputs.shards.items():
            own = self.shards.setdefault(fleet, {})
            for key, data in shards.items():
                if data is None:
                    own.pop(key, None)
                else:
                    own[key] = data
        for fleet in outputs.removed:
            self.shards.pop(fleet, None)
        return outputs
