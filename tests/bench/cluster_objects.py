"""The objects of the benchmark on a cluster."""

from __future__ import annotations

from typing import Any

from shared.kube.client import MERGE as MERGE

Object = dict[str, Any]
NAMESPACE = "headgate-bench"
HEADER = "x-edit"
SCALED = 9_999_999
"""The number of the route to the backend that is scaled."""
_GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
ROUTES = f"{_GATEWAY_API}/namespaces/{NAMESPACE}/httproutes"
GATEWAYS = f"{_GATEWAY_API}/namespaces/{NAMESPACE}/gateways"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
IMAGE = "registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0"
PORT = 3000


def name(number: int) -> str:
    return f"route-{number}"


def host(number: int) -> str:
    return f"{name(number)}.example.com"


def route(number: int, value: str, backend: str = "backend") -> Object:
    """`value`: what the header says that its answers get."""
    change = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": HEADER, "value": value}]}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name(number), "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "bench"}],
            "hostnames": [host(number)],
            "rules": [{"filters": [change], "backendRefs": [{"name": backend, "port": 80}]}],
        },
    }


def endpoints(address: str) -> Object:
    """Of the backend that has no pods by itself: one of the other's."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "backend", "labels": {"kubernetes.io/service-name": "backend"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
    }


def base(controller: str) -> tuple[tuple[str, Object], ...]:
    """Path and object; the first two hold all others."""
    fields = {"POD_NAME": "metadata.name", "NAMESPACE": "metadata.namespace"}
    container = {
        "name": "backend",
        "image": IMAGE,
        "env": [{"name": n, "valueFrom": {"fieldRef": {"fieldPath": path}}} for n, path in fields.items()],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        # a pod that ends still answers until everybody knows
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    }
    listener = {"name": "http", "protocol": "HTTP", "port": 80}
    port = {"name": "http", "port": 80, "targetPort": PORT}
    return (
        (
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        ),
        (
            f"{_GATEWAY_API}/gatewayclasses",
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "GatewayClass",
                "metadata": {"name": "headgate-bench"},
                "spec": {"controllerName": controller},
            },
        ),
        (
            GATEWAYS,
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": "bench"},
                "spec": {"gatewayClassName": "headgate-bench", "listeners": [listener]},
            },
        ),
        (SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend"}, "spec": {"ports": [port]}}),
        (
            SERVICES,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "scaled"},
                "spec": {"selector": {"app": "backend"}, "ports": [port]},
            },
        ),
        (
            DEPLOYMENTS,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "backend"},
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": {"app": "backend"}},
                    "template": {"metadata": {"labels": {"app": "backend"}}, "spec": {"containers": [container]}},
                },
            },
        ),
    )
