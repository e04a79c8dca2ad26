"""The kinds that a fleet is made of, and where an API server keeps them. All are stable, so nothing has to be discovered."""

from __future__ import annotations

from shared.kube.discovery import Resource

SERVICE_ACCOUNT = Resource("", "ServiceAccount", "v1", "/api/v1", "serviceaccounts", True)
CONFIG_MAP = Resource("", "ConfigMap", "v1", "/api/v1", "configmaps", True)
SERVICE = Resource("", "Service", "v1", "/api/v1", "services", True)
DEPLOYMENT = Resource("apps", "Deployment", "apps/v1", "/apis/apps/v1", "deployments", True)
DAEMON_SET = Resource("apps", "DaemonSet", "apps/v1", "/apis/apps/v1", "daemonsets", True)
AUTOSCALER = Resource("autoscaling", "HorizontalPodAutoscaler", "autoscaling/v2", "/apis/autoscaling/v2", "horizontalpodautoscalers", True)
BUDGET = Resource("policy", "PodDisruptionBudget", "policy/v1", "/apis/policy/v1", "poddisruptionbudgets", True)

MADE = (SERVICE_ACCOUNT, CONFIG_MAP, DEPLOYMENT, DAEMON_SET, SERVICE, AUTOSCALER, BUDGET)
"""In the order in which they are applied."""
RESOURCES = {r.kind: r for r in MADE}

POD = Resource("", "Pod", "v1", "/api/v1", "pods", True)
NODE = Resource("", "Node", "v1", "/api/v1", "nodes", False)
ENDPOINT_SLICE = Resource("discovery.k8s.io", "EndpointSlice", "discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1", "endpointslices", True)
_GATEWAY_API = ("gateway.networking.k8s.io", "gateway.networking.k8s.io/v1", "/apis/gateway.networking.k8s.io/v1")
GATEWAY = Resource(_GATEWAY_API[0], "Gateway", *_GATEWAY_API[1:], "gateways", True)
GATEWAY_CLASS = Resource(_GATEWAY_API[0], "GatewayClass", *_GATEWAY_API[1:], "gatewayclasses", False)
