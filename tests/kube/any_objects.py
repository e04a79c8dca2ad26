"""Objects of many kinds that belong together, each with the forms that it may have: for histories that choose among them."""

from __future__ import annotations

import base64
from typing import Any

from services.cli.certgen import Part, certificates

Object = dict[str, Any]
G, E = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
GATEWAY = {"group": G, "kind": "Gateway", "name": "gw"}
ROUTE = {"group": G, "kind": "HTTPRoute", "name": "r0"}


def made(api_version: str, kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def route(name: str, path: str, service: str, **rule: Any) -> Object:
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": service, "port": 80}]} | rule]
    return made(f"{G}/v1", "HTTPRoute", name, spec={"parentRefs": [{"name": "gw"}], "rules": rules})


def gateway(port: int, tls_port: int, *, tls: bool, hostname: str | None = None) -> Object:
    listeners: list[Object] = [{"name": "http", "protocol": "HTTP", "port": port} | ({"hostname": hostname} if hostname else {})]
    if tls:
        terminated = {"certificateRefs": [{"name": "pair"}]}
        listeners.append({"name": "https", "protocol": "HTTPS", "port": tls_port, "hostname": "a.example.com", "tls": terminated})
    return made(f"{G}/v1", "Gateway", "gw", spec={"gatewayClassName": "headgate", "listeners": listeners})


def service(**spec: Any) -> Object:
    return made("v1", "Service", "s0", spec={"ports": [{"name": "http", "port": 80}]} | spec)


def endpoints(*ports: int) -> Object:
    found = made("discovery.k8s.io/v1", "EndpointSlice", "s0-1", addressType="IPv4", ports=[{"name": "http", "port": p} for p in ports])
    found["metadata"]["labels"] = {"kubernetes.io/service-name": "s0"}
    return found | {"endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": True}}]}


def pair() -> Object:
    _, pairs = certificates([Part("tls", "a.example.com", ("a.example.com",))], hosts=())
    data = {"tls.crt": pairs["tls"].certificate, "tls.key": pairs["tls"].key}
    return made("v1", "Secret", "pair", type="kubernetes.io/tls", data={k: base64.b64encode(v).decode() for k, v in data.items()})


def authority() -> Object:
    made_by, _ = certificates([Part("tls", "a.example.com", ("a.example.com",))], hosts=())
    return made("v1", "ConfigMap", "authority", data={"ca.crt": made_by.decode()})


def users(password: str) -> Object:
    # {SHA} as htpasswd writes it
    entry = f"user:{{SHA}}{base64.b64encode(password.ljust(20, '.').encode()).decode()}"
    return made("v1", "Secret", "users", data={".htpasswd": base64.b64encode(entry.encode()).decode()})


def policy(kind: str, target: Object, **spec: Any) -> Object:
    api_version = f"{G}/v1" if kind == "BackendTLSPolicy" else f"{E}/v1alpha1"
    return made(api_version, kind, f"{kind.lower()}-{target['name']}", spec={"targetRefs": [target]} | spec)


def pool(port: int, tls_port: int) -> list[list[Object]]:
    """Objects, each with the forms that it may have."""
    reference = {"group": E, "kind": "HTTPRouteFilter", "name": "answer"}
    said = [{"type": "ExtensionRef", "extensionRef": reference}]
    answers = [made(f"{E}/v1alpha1", "HTTPRouteFilter", "answer", spec={"directResponse": {"statusCode": c}}) for c in (503, 418)]
    basic = {"basicAuth": {"users": {"name": "users"}}}
    backends = [{"group": E, "kind": "Backend", "name": "b0"}]
    validations: list[Object] = [
        {"hostname": "a.example.com", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "authority"}]},
        {"hostname": "a.example.com", "wellKnownCACertificates": "System"},
    ]
    lua = [{"lua": [{"type": "Inline", "inline": f"function envoy_on_response(h) h:headers():add('x', '{n}') end"}]} for n in range(2)]
    return [
        *([route(f"r{n}", f"/{n}{end}", s) for end in ("", "/more") for s in ("s0", "none")] for n in range(3)),
        [route("filtered", "/filtered", "s0", filters=said), route("filtered", "/f", "s0")],
        [route("backed", "/backed", "s0", backendRefs=backends)],
        [
            made(
                f"{G}/v1", "GRPCRoute", "g", spec={"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s0", "port": 80}]}]}
            )
        ],
        [
            gateway(port, tls_port, tls=False),
            gateway(port, tls_port, tls=True),
            gateway(port, tls_port, tls=True, hostname="*.example.com"),
        ],
        [service(), service(type="ExternalName", externalName="example.com")],
        [endpoints(8080), endpoints(8081), endpoints()],
        [made(f"{E}/v1alpha1", "Backend", "b0", spec={"endpoints": [{"ip": {"address": "10.2.2.2", "port": p}}]}) for p in (80, 81)],
        [pair(), pair()],
        [users("one"), users("two")],
        [authority(), authority()],
        answers,
        [policy("BackendTLSPolicy", {"group": "", "kind": "Service", "name": "s0"}, validation=v) for v in validations],
        [policy("BackendTrafficPolicy", GATEWAY, timeout={"http": {"requestTimeout": f"{n}s"}}) for n in (1, 2)],
        [policy("BackendTrafficPolicy", ROUTE, retry={"numRetries": n}) for n in (1, 2)],
        [policy("SecurityPolicy", ROUTE, **basic), policy("SecurityPolicy", ROUTE, cors={"allowOrigins": ["https://example.com"]})],
        [policy("SecurityPolicy", GATEWAY, **basic)],
        [policy("ClientTrafficPolicy", GATEWAY, timeout={"http": {"requestReceivedTimeout": f"{n}s"}}) for n in (5, 6)],
        [policy("EnvoyExtensionPolicy", ROUTE, **spec) for spec in lua],
    ]
