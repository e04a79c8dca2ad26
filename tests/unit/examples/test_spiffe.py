"""The SPIFFE example's parts: which policy counts, what it changes in Envoy's configuration, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from examples.spiffe.extension import METADATA, Spiffe
from examples.spiffe.policy import first, parse, usable
from examples.spiffe.sockets import AGENT, secure
from shared.extension.contexts import Object, RouteContext, Translation, TranslationContext
from shared.xds.message import build, decode, pack, to_json

TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def policy(name: str = "p", created: str = "2026-01-01T00:00:00Z", section: str = "", **spec: Any) -> Object:
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"} | ({"sectionName": section} if section else {})
    base = {"targetRefs": [target], "trustDomain": "example.org", "workload": "ns/a/sa/proxy", "backends": ["ns/b/sa/web"]}
    return Object({"metadata": {"name": name, "namespace": "ns", "creationTimestamp": created}, "spec": base | spec})


def cluster(name: str, *, tls: bool = True, **more: Any) -> Any:
    context = {
        "sni": "web.example.org",
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [{"certificate_chain": {"inline_string": "old"}}],
            "validation_context": {"trusted_ca": {"inline_string": "old"}},
        },
        "auto_sni_san_validation": True,
    }
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": pack(TLS, context)}
    return build("envoy.config.cluster.v3.Cluster", {"name": name, **({"transport_socket": socket} if tls else {}), **more})


def context_of(found: Any) -> dict[str, Any]:
    return to_json(decode(TLS, found.transport_socket.typed_config.value))


def routes(*of: tuple[str, dict[str, Any]]) -> Any:
    made = [{"name": f"route-{n}", "route": action} for n, (_, action) in enumerate(of)]
    hosts = [{"name": "all", "domains": ["*"], "routes": made}]
    return build("envoy.config.route.v3.RouteConfiguration", {"name": "http", "virtual_hosts": hosts})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"trustDomain": "Example.org"}, "spec.trustDomain"),
        ({"trustDomain": None}, "spec.trustDomain"),
        ({"workload": "/absolute"}, "spec.workload"),
        ({"workload": "a/../b"}, "spec.workload"),
        ({"backends": ["ok", 7]}, "spec.backends[1]"),
        ({"backends": "web"}, "spec.backends"),
    ],
)
def test_a_wrong_policy_lets_nobody_in(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match="spec") as e:
        parse(policy(**spec))
    assert str(e.value).startswith(says)
    instead, fault = usable(policy(**spec))
    assert fault.startswith(says)
    assert instead.backends == ("spiffe://invalid/nobody",)


def test_a_policy_for_a_rule_then_the_oldest_counts() -> None:
    old, new = policy("old", "2025-01-01T00:00:00Z"), policy("new")
    assert first([new, old]) is old
    rule = policy("rule", "2026-06-01T00:00:00Z", section="first")
    assert first([new, old, rule]) is rule
    assert first([]) is None


def test_tls_takes_identity_and_authorities_from_the_agent() -> None:
    found = cluster("web")
    assert secure(found, parse(policy()))
    context = context_of(found)
    common = context["commonTlsContext"]
    assert context["sni"] == "web.example.org"
    assert "autoSniSanValidation" not in context
    assert common["alpnProtocols"] == ["h2"]
    assert "tlsCertificates" not in common
    assert "validationContext" not in common
    (certificate,) = common["tlsCertificateSdsSecretConfigs"]
    assert certificate["name"] == "spiffe://example.org/ns/a/sa/proxy"
    services = certificate["sdsConfig"]["apiConfigSource"]["grpcServices"]
    assert services == [{"envoyGrpc": {"clusterName": AGENT}}]
    peers = common["combinedValidationContext"]
    assert peers["validationContextSdsSecretConfig"]["name"] == "spiffe://example.org"
    assert peers["defaultValidationContext"]["matchTypedSubjectAltNames"] == [
        {"sanType": "URI", "matcher": {"exact": "spiffe://example.org/ns/b/sa/web"}}
    ]


def test_without_backends_the_trust_domain_is_let_in_and_no_longer() -> None:
    found = cluster("web")
    assert secure(found, parse(policy(backends=[])))
    peers = context_of(found)["commonTlsContext"]["combinedValidationContext"]["defaultValidationContext"]
    assert peers["matchTypedSubjectAltNames"] == [{"sanType": "URI", "matcher": {"prefix": "spiffe://example.org/"}}]


def test_sockets_of_single_endpoints_count_and_names_of_hosts_do_not() -> None:
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": pack(TLS, {"sni": "x"})}
    options = {HTTP: pack(HTTP, {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}})}
    matches = [{"name": "x", "transport_socket": socket}]
    found = cluster("web", tls=False, transport_socket_matches=matches, typed_extension_protocol_options=options)
    assert secure(found, parse(policy()))
    context = decode(TLS, found.transport_socket_matches[0].transport_socket.typed_config.value)
    assert context.common_tls_context.HasField("combined_validation_context")
    http = decode(HTTP, found.typed_extension_protocol_options[HTTP].value)
    assert to_json(http)["upstreamHttpProtocolOptions"] == {"autoSni": True}


def test_what_speaks_no_tls_stays_as_it_is() -> None:
    found = cluster("web", tls=False)
    before = found.SerializeToString()
    assert not secure(found, parse(policy()))
    assert found.SerializeToString() == before


async def test_a_gateways_policy_is_for_what_routes_lead_to() -> None:
    table = routes(
        ("a", {"cluster": "one"}),
        ("b", {"weighted_clusters": {"clusters": [{"name": "two"}]}, "request_mirror_policies": [{"cluster": "three"}]}),
    )
    names = ("one", "two", "three", "keys.example.com")
    given = Translation([cluster(n) for n in names], [], [], [table])
    found = {c.name: c for c in (await Spiffe("/agent.sock").translate(given, TranslationContext((policy(),)))).clusters}
    assert found.keys() == {*names, AGENT}
    assert found[AGENT].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe.path == "/agent.sock"
    secured = {n for n in names if "combinedValidationContext" in context_of(found[n])["commonTlsContext"]}
    assert secured == {"one", "two", "three"}


async def test_a_routes_policy_travels_in_its_metadata_and_goes_before_the_gateways() -> None:
    server = Spiffe("/agent.sock")
    route = build("envoy.config.route.v3.Route", {"name": "r", "route": {"cluster": "one"}})
    own = policy("own", workload="other")
    changed = await server.route(route, RouteContext((), (), (own,)))
    assert METADATA in changed.metadata.filter_metadata
    table = routes(("b", {"cluster": "two"}))
    table.virtual_hosts[0].routes.append(changed)
    given = Translation([cluster("one"), cluster("two")], [], [], [table])
    found = {c.name: c for c in (await server.translate(given, TranslationContext((policy(),)))).clusters}
    shown = {n: context_of(found[n])["commonTlsContext"]["tlsCertificateSdsSecretConfigs"][0]["name"] for n in ("one", "two")}
    assert shown == {"one": "spiffe://example.org/other", "two": "spiffe://example.org/ns/a/sa/proxy"}


async def test_without_policies_nothing_changes() -> None:
    server = Spiffe("/agent.sock")
    route = build("envoy.config.route.v3.Route", {"name": "r", "route": {"cluster": "one"}})
    assert await server.route(route, RouteContext((), (), ())) is None
    given = Translation([cluster("one")], [], [], [routes(("a", {"cluster": "one"}))])
    before = [c.SerializeToString(deterministic=True) for c in given.clusters]
    found = await server.translate(given, TranslationContext(()))
    assert [c.SerializeToString(deterministic=True) for c in found.clusters] == before
