"""Security on routes: what a listener folds together of its routes, what a changed route costs it, and whose secrets are opened where."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.features.client.ip_detection.ir import ClientIpDetection, DirectSourceIp
from shared.features.extension.ext_proc.ir import ExtProc
from shared.features.security.authorization.ir import (
    Authorization,
    AuthorizationRule,
    GeoIpProvider,
    GeoLocation,
    MaxMind,
    Principal,
)
from shared.features.security.basic_auth.ir import BasicAuth
from shared.features.security.ext_auth.ir import ContextExtension, ExtAuth, GrpcAuthService
from shared.features.security.jwt.ir import Jwt, JwtProvider, RemoteJwks
from shared.features.security.oidc.ir import Oidc, OidcProvider
from shared.ir.base import IR
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.extension import ExtensionFeatures
from shared.ir.metadata import PolicyMetadata
from shared.ir.policy import Policies, PolicyShard
from shared.ir.security import SecurityFeatures
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

JWT = "envoy.filters.http.jwt_authn"


def provider(name: str) -> JwtProvider:
    return JwtProvider(name=name, issuer=f"https://{name}.example.com", local_jwks='{"keys": []}')


def secured(n: int, security: SecurityFeatures | None, extensions: ExtensionFeatures | None = None) -> IR:
    route = b.http_route(f"r{n}", host=f"h{n}.example.com")
    return replace(b.route(f"r{n}"), routes=(replace(route, security=security, envoy_extensions=extensions),))


def stored(*features: SecurityFeatures | None) -> GatewayStore:
    shards = b.gateway(len(features)) | {b.route_key(f"r{n}"): secured(n, each) for n, each in enumerate(features)}
    store = b.store()
    store.apply(1, b.encoded(shards))
    assert not store.problems
    return store


def shown(store: GatewayStore, kind: str) -> dict[str, Any]:
    found = store.snapshot().get(kind, {})
    return {name: to_json(decode(MESSAGES[kind], decode("google.protobuf.Any", r.any_bytes).value)) for name, r in found.items()}


def filters(store: GatewayStore) -> dict[str, Any]:
    (listener,) = shown(store, LISTENER).values()
    found = listener["defaultFilterChain"]["filters"][0]["typedConfig"]["httpFilters"]
    return {f["name"]: f.get("typedConfig", {}) for f in found}


def per_route(store: GatewayStore, n: int) -> dict[str, Any]:
    (config,) = shown(store, ROUTE).values()
    hosts = {h["domains"][0]: h for h in config["virtualHosts"]}
    made: dict[str, Any] = hosts[f"h{n}.example.com"]["routes"][0]
    return made


def test_a_listener_knows_the_providers_of_all_its_routes() -> None:
    store = stored(
        SecurityFeatures(jwt=Jwt(providers=(provider("a"), provider("b")))), SecurityFeatures(jwt=Jwt(providers=(provider("b"),)))
    )
    made = filters(store)[JWT]
    assert sorted(n.partition("_")[0] for n in made["providers"]) == ["a", "b"]
    assert sorted(n.partition("_")[0] for n in made["requirementMap"]) == ["a-or-b", "b"]
    for n, name in enumerate(("a-or-b_", "b_")):
        required = per_route(store, n)["typedPerFilterConfig"][JWT]["requirementName"]
        assert required.startswith(name)
        assert required in made["requirementMap"]


def test_a_route_that_wants_what_others_want_leaves_the_listener_alone() -> None:
    security = SecurityFeatures(jwt=Jwt(providers=(provider("a"),)))
    store = stored(security, security, None)
    before = dict(store.evaluations)
    changes = store.apply(2, b.encoded({b.route_key("r2"): secured(2, security)}))
    assert LISTENER not in changes
    assert store.evaluations["xds_listeners"] == before["xds_listeners"]
    assert store.evaluations["route_outputs"] == before["route_outputs"] + 1
    changes = store.apply(3, b.encoded({b.route_key("r2"): secured(2, SecurityFeatures(jwt=Jwt(providers=(provider("b"),))))}))
    assert LISTENER in changes


def test_the_last_route_takes_its_filter_away() -> None:
    store = stored(SecurityFeatures(jwt=Jwt(providers=(provider("a"),))))
    store.apply(2, b.encoded({b.route_key("r0"): secured(0, None)}))
    assert JWT not in filters(store)


def test_sealed_values_stand_opened_in_filters() -> None:
    users = SecurityFeatures(basic_auth=BasicAuth(name="p", users="sealed:joe:{SHA}x\r\n"))
    auth = GrpcAuthService(destination=Destination(name="auth", settings=(DestinationSetting(name="auth/0", weight=1, protocol="GRPC"),)))
    told = SecurityFeatures(
        ext_auth=ExtAuth(name="q", grpc=auth, context_extensions=(ContextExtension(name="key", value="sealed:d29yZA=="),))
    )
    store = stored(users, told)
    assert filters(store)["envoy.filters.http.basic_auth/p"]["users"] == {"inlineBytes": "am9lOntTSEF9eAo="}
    config = per_route(store, 1)["typedPerFilterConfig"]["envoy.filters.http.ext_authz/q"]
    assert config["checkSettings"] == {"contextExtensions": {"key": "word"}}


def test_a_secret_that_cannot_be_opened_refuses_its_route_alone() -> None:
    shards = b.gateway(2)
    provider = OidcProvider(token_endpoint="https://idp.example.com/token", authorization_endpoint="https://idp.example.com/auth")
    oidc = Oidc(name="p", provider=provider, client_id="me", client_secret="nonsense", hmac_secret="sealed:h", redirect_url="https://x/cb")
    shards[b.route_key("r0")] = secured(0, SecurityFeatures(oidc=oidc))
    store = b.store()
    store.apply(1, b.encoded(shards))
    assert "cannot be opened" in store.problems[b.route_key("r0")][0]
    assert per_route(store, 0)["directResponse"]["status"] == 500
    assert "route" in per_route(store, 1)
    assert SECRET not in store.snapshot()
    assert list(filters(store)) == ["envoy.filters.http.router"]


def test_services_that_filters_ask_have_clusters() -> None:
    where = b.backend_key("auth")
    remote = RemoteJwks(uri="https://keys.example.com/jwks.json")
    jwt = Jwt(providers=(JwtProvider(name="a", remote_jwks=remote),))
    setting = DestinationSetting(name="proc/backend/0", weight=1, protocol="GRPC", endpoints_ref=where)
    proc = ExtProc(name="e/extproc/0", destination=Destination(name="proc", settings=(setting,)))
    shards = b.gateway(1) | {where: b.backend(("10.0.0.9", 9000))}
    shards[b.route_key("r0")] = secured(0, SecurityFeatures(jwt=jwt), ExtensionFeatures(ext_procs=(proc,)))
    store = b.store()
    store.apply(1, b.encoded(shards))
    assert not store.problems
    clusters = shown(store, CLUSTER)
    assert set(clusters) == {"httproute/default/r0/rule/0", "keys_example_com_443", "proc"}
    assert clusters["keys_example_com_443"]["transportSocket"]["typedConfig"]["sni"] == "keys.example.com"
    assert clusters["proc"]["type"] == "EDS"
    moved = store.apply(2, b.encoded({where: b.backend(("10.0.0.10", 9000))}))
    assert [name for changes in moved.values() for name in changes.upserts] == ["proc"]


def test_who_asks_where_clients_are_makes_the_listener_look_them_up_and_hides_it_from_all_backends() -> None:
    rule = AuthorizationRule(name="here", action="Allow", principal=Principal(client_ip_geo_locations=(GeoLocation(country="GB"),)))
    asking = SecurityFeatures(authorization=Authorization(rules=(rule,), default_action="Deny"))
    shards = b.gateway(2) | {b.route_key("r0"): secured(0, asking)}
    store = b.store()
    store.apply(1, b.encoded(shards))
    # nobody can answer: nobody comes in
    assert per_route(store, 0)["directResponse"]["status"] == 500
    assert "envoy.filters.http.geoip" not in filters(store)
    provider = GeoIpProvider(max_mind=MaxMind(country_db_path="/db"))
    of_gateway, of_listener = shards["gateway"], shards[b.LISTENER]
    detects = ClientIpDetection(direct_source_ip=DirectSourceIp())
    known = {
        "gateway": replace(of_gateway, geo_ip_provider=provider),
        b.LISTENER: replace(of_listener, client_ip_detection=detects),
    }
    store.apply(2, b.encoded(known))
    assert "directResponse" not in per_route(store, 0)
    assert "envoy.filters.http.geoip" in filters(store)
    for n in (0, 1):
        assert per_route(store, n)["requestHeadersToRemove"] == ["x-eg-internal-geoip-country"]


def test_an_edited_security_policy_leaves_the_clusters_of_backends_alone() -> None:
    key = "policy.SecurityPolicy.default.p"

    def policy(name: str) -> PolicyShard:
        about = PolicyMetadata(kind="SecurityPolicy", name="p", namespace="default")
        return PolicyShard(policy=about, security=SecurityFeatures(jwt=Jwt(providers=(provider(name),))))

    of_listener = replace(b.listener(), policies=Policies(security=(key,)))
    store = b.store()
    store.apply(1, b.encoded(b.gateway(5) | {b.LISTENER: of_listener, key: policy("a")}))
    before = dict(store.evaluations)
    changes = store.apply(2, b.encoded({key: policy("b")}))
    assert set(changes) == {LISTENER, ROUTE}
    for name in ("route_clusters", "route_assignments"):
        assert store.evaluations[name] == before[name]
    # an edited policy is rendered for each route that it speaks for, and the listener once
    assert store.evaluations["route_outputs"] == before["route_outputs"] + 5
    assert store.evaluations["xds_listeners"] == before["xds_listeners"] + 1
