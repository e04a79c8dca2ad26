"""Whatever an object holds: no translation raises, no other object's shards change, and the object can be put right again."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.translator.build import (
    ENVOY,
    GATEWAY_API,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    grpc_route,
    http,
    https,
    listener,
    listener_set,
    made,
    ref_of,
    route,
    service,
    stream_route,
)
from tests.unit.translator.certificates import tls_secret

JUNK: tuple[Any, ...] = (None, "", 0, -1, "x", [], {}, True, "*", "a.b", "1.1.1.1", 70000, 'é "x"', ["a"], {"a": 1}, 1.5)
FILTERS = [
    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}], "remove": ["c"]}},
    {"type": "URLRewrite", "urlRewrite": {"hostname": "x.example.com", "path": {"type": "ReplaceFullPath", "replaceFullPath": "/"}}},
    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "app", "port": 80}, "fraction": {"numerator": 1}}},
    {"type": "CORS", "cors": {"allowOrigins": ["https://*.example.com"], "allowMethods": ["GET"], "maxAge": 5}},
    {"type": "ExtensionRef", "extensionRef": {"group": ENVOY, "kind": "HTTPRouteFilter", "name": "extra"}},
]
RULE = {
    "filters": FILTERS,
    "timeouts": {"request": "10s", "backendRequest": "2s"},
    "retry": {"attempts": 2, "codes": [503], "backoff": "1s"},
    "sessionPersistence": {"type": "Cookie", "absoluteTimeout": "1h"},
    "matches": [{"path": {"type": "Exact", "value": "/a"}, "headers": [{"name": "h", "value": "v"}], "queryParams": [{"name": "q", "value": "v"}], "method": "GET"}],  # noqa: E501
    "backendRefs": [{"name": "app", "port": 80, "weight": 2}, {"name": "ext", "kind": "Backend", "group": ENVOY}],
}  # fmt: skip
COLLECTOR = {"backendRefs": [{"name": "app", "port": 80}]}
TELEMETRY = {
    "accessLog": {
        "settings": [
            {"format": {"type": "Text", "text": "x"}, "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}]},
            {
                "matches": ["a == 1"],
                "type": "Route",
                "sinks": [{"type": "ALS", "als": {"type": "HTTP", "http": {"requestHeaders": ["a"]}, **COLLECTOR}}],
            },
            {
                "sinks": [
                    {"type": "OpenTelemetry", "openTelemetry": {"host": "otel.example.com", "port": 1, "resourceAttributes": {"a": "b"}}}
                ]
            },
        ]
    },
    "tracing": {
        "provider": {"type": "OpenTelemetry", "openTelemetry": {"headers": [{"name": "a", "value": "b"}]}, **COLLECTOR},
        "samplingFraction": {"numerator": 1, "denominator": 3},
        "customTags": {"a": {"type": "Environment", "environment": {"name": "E"}}},
        "spanName": {"client": "x"},
    },
    "metrics": {
        "enableGRPCStats": True,
        "clusterStatName": "%ROUTE_NAME%",
        "sinks": [{"type": "OpenTelemetry", "openTelemetry": COLLECTOR}],
    },
    "healthCheckLog": {"matches": ["Failure"], "sinks": [{"type": "File", "file": {"path": "/x"}}]},
    "requestID": {"tracing": "Pack"},
}
PROXY = {
    "ipFamily": "DualStack",
    "mergeBackends": {"selector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}},
    "filterOrder": [{"name": "envoy.filters.http.cors", "before": "envoy.filters.http.fault"}],
    "telemetry": TELEMETRY,
    "provider": {"type": "Kubernetes", "kubernetes": {"envoyService": {"type": "ClusterIP"}}},
}  # fmt: skip
BACKEND_TLS = {
    "targetRefs": [{"group": ENVOY, "kind": "Backend", "name": "ext", "sectionName": "443"}],
    "validation": {"hostname": "a.example.com", "wellKnownCACertificates": "System", "subjectAltNames": [{"type": "URI", "uri": "a://b"}]},
}
TARGET = {"group": ENVOY, "kind": "EnvoyProxy", "name": "proxy"}


def world() -> list[Object]:
    backend = {"endpoints": [{"fqdn": {"hostname": "a.example.com", "port": 443}}], "tls": {"wellKnownCACertificates": "System"}}
    credential = {"credential": {"valueRef": {"name": "cert"}}, "header": "x"}
    body = {"type": "Inline", "inline": "tea"}
    extra = {
        "directResponse": {"statusCode": 418, "body": body},
        "matches": [{"cookies": [{"name": "c"}]}],
        "credentialInjection": credential,
    }
    grant = {"from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": "other"}], "to": [{"group": "", "kind": "Service"}]}
    return [
        gateway_class(),
        gateway(
            http(),
            https(),
            http("named", 81, hostname="*.example.com"),
            listener("TLS", "tls", 8443, tls={"mode": "Passthrough"}),
            listener("TCP", "tcp", 5432),
            listener("UDP", "udp", 53),
            infrastructure={"parametersRef": TARGET},
            allowedListeners={"namespaces": {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}},
        ),
        listener_set("more", http("same", 82), listener("TCP", "tcp", 5433, allowedRoutes={"kinds": [{"kind": "TCPRoute"}]})),
        made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "proxy", PROXY),
        made(f"{ENVOY}/v1alpha1", "Backend", "ext", backend),
        made(f"{ENVOY}/v1alpha1", "HTTPRouteFilter", "extra", extra),
        made(f"{ENVOY}/v1alpha1", "SecurityPolicy", "policy", {"targetRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": "eg"}]}),
        made(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", "grant", grant),
        stream_route("TCPRoute", "tcp"),
        stream_route("UDPRoute", "udp", port=53),
        stream_route("TLSRoute", "tls", hostnames=["a.example.com", "*.b.example.com"]),
        grpc_route("rpc", {"type": "RegularExpression", "service": "a.+", "method": "b"}, rule={"filters": FILTERS[:1] + FILTERS[4:]}),
        made(f"{GATEWAY_API}/v1", "BackendTLSPolicy", "tls", BACKEND_TLS),
        route("rich", rule=RULE),
        service(),
        endpoints("app", "10.1.1.1"),
        tls_secret(),
    ]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def broken(obj: Object, rng: random.Random) -> Object:
    result = copy.deepcopy(obj)
    open_places = [p for p in places(result) if p[0] not in ("apiVersion", "kind") and p not in (("metadata",), *NAMES)]
    path = rng.choice(open_places)
    inside = result
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = rng.choice(JUNK)
    return result


NAMES = (("metadata", "name"), ("metadata", "namespace"))


@pytest.mark.parametrize("seed", range(6))
def test_no_content_breaks_a_translation(seed: int) -> None:
    rng = random.Random(seed)
    objects = world()
    bystander = route("bystander", "/bystander")
    live = World(*objects, bystander, backend=True)
    before = (dict(live.shards), dict(live.infra), dict(live.statuses))
    assert live.translator.failures() == {}
    for _ in range(250):
        obj = rng.choice(objects)
        live.put(broken(obj, rng))
        assert live.translator.failures() == {}
        live.put(obj)
    assert (live.shards, live.infra, live.statuses) == before


@pytest.mark.parametrize(
    "kind",
    [
        "HTTPRoute",
        "GRPCRoute",
        "TLSRoute",
        "TCPRoute",
        "UDPRoute",
        "ListenerSet",
        "BackendTLSPolicy",
        "Backend",
        "HTTPRouteFilter",
        "SecurityPolicy",
        "Secret",
    ],
)
def test_a_broken_object_changes_no_bystanders_shard(kind: str) -> None:
    rng = random.Random(kind)
    objects = world()
    live = World(*objects, route("bystander", "/bystander"), backend=True)
    (fleet,) = live.shards
    key = "http.http.HTTPRoute.default.bystander"
    before = live.shards[fleet][key]
    (obj,) = [o for o in objects if o["kind"] == kind]
    for _ in range(100):
        live.put(broken(obj, rng))
        assert live.shards[fleet][key] == before


def test_objects_may_come_and_go_in_any_order() -> None:
    rng = random.Random(3)
    objects = world()
    whole = World(*objects, backend=True)
    for _ in range(5):
        rng.shuffle(objects)
        live = World(backend=True)
        for obj in objects:
            live.put(obj)
        assert {ref_of(o) for o in objects}
        assert (live.shards, live.infra, live.statuses) == (whole.shards, whole.infra, whole.statuses)
        for obj in objects:
            live.drop(obj)
        assert (live.shards, live.infra, live.statuses) == ({}, {}, {})
