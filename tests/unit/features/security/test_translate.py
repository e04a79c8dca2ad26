"""What SecurityPolicies' features make of what is written, and what they refuse to make."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from shared.features.parts.policy_lookup import Fault
from shared.features.security.api_key_auth import translate as api_key_auth
from shared.features.security.api_key_auth.spec import ApiKeyAuthSpec
from shared.features.security.authorization import translate as authorization
from shared.features.security.authorization.spec import AuthorizationSpec
from shared.features.security.basic_auth import translate as basic_auth
from shared.features.security.csrf import translate as csrf
from shared.features.security.csrf.spec import CsrfSpec
from shared.features.security.ext_auth import translate as ext_auth
from shared.features.security.ext_auth.spec import ExtAuthSpec
from shared.features.security.jwt import translate as jwt
from shared.features.security.jwt.spec import JwtSpec
from shared.features.security.oidc import translate as oidc
from shared.features.security.oidc.spec import OidcSpec
from tests.unit.features.security.around import PARENT, POLICY, Around

KEYS = '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'
USER = b"joe:{SHA}" + base64.b64encode(b"x" * 20)


def providers(*specs: dict[str, Any]) -> JwtSpec:
    return msgspec.convert({"providers": list(specs)}, JwtSpec)


def local(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "localJWKS": {"type": "Inline", "inline": KEYS}, **more}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (local(name=""), "empty string"),
        (local(name="no spaces please"), "qualified name"),
        (local(issuer="nobody: nowhere"), "valid URI"),
        (local(issuer="@"), "email"),
        ({"name": "a"}, "either remoteJWKS or localJWKS"),
        ({"name": "a", "remoteJWKS": {"uri": "nowhere"}}, "invalid remote JWKS URI"),
        ({"name": "a", "remoteJWKS": {"uri": "https://x/jwks", "cacheDuration": "soon"}}, "cacheDuration"),
        ({"name": "a", "localJWKS": {"type": "ValueRef", "valueRef": {"name": "gone"}}}, "does not exist"),
        ({"name": "a", "remoteJWKS": {"uri": "file:///jwks"}}, "invalid remote JWKS URI"),
        ({"name": "a", "remoteJWKS": {"uri": "https://x/jwks", "cacheDuration": "-1s"}}, "cacheDuration"),
        ({"name": "a", "localJWKS": {"inline": "nonsense"}}, "no JSON"),
        ({"name": "a", "localJWKS": {"inline": "[]"}}, "no list of keys"),
        ({"name": "a", "localJWKS": {"inline": '{"keys": [{"kty": "RSA"}, 1]}'}}, "no usable key"),
        (local(claimToHeaders=[{"header": "", "claim": "sub"}]), "claimToHeaders"),
        (local(claimToHeaders=[{"header": "x y", "claim": "sub"}]), "no name of a header"),
        (local(extractFrom={"headers": [{"name": "x\n"}]}), "no name of a header"),
        (local(extractFrom={"cookies": [""]}), "has no name"),
    ],
)
def test_a_jwt_provider_that_envoy_could_not_use_is_refused(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        jwt.translate(providers(spec), POLICY, Around())


def test_provider_names_are_unique() -> None:
    with pytest.raises(Fault, match="unique"):
        jwt.translate(providers(local(), local()), POLICY, Around())


def test_keys_come_from_a_config_map_of_who_wrote_the_providers() -> None:
    around = Around(config_maps={"infra/keys": {"b": "{}", "a": KEYS}})
    spec = providers({"name": "a", "localJWKS": {"type": "ValueRef", "valueRef": {"name": "keys"}}})
    assert jwt.translate(spec, PARENT, around).providers[0].local_jwks == KEYS


def test_remote_keys_of_a_backend_have_a_destination_of_their_own() -> None:
    spec = providers(local("first"), {"name": "a", "remoteJWKS": {"uri": "https://x/jwks", "backendRefs": [{"name": "idp", "port": 1}]}})
    remote = jwt.translate(spec, POLICY, Around()).providers[1].remote_jwks
    assert remote is not None
    assert remote.destination is not None
    assert remote.destination.name == "securitypolicy/default/p/jwt/1"
    assert remote.destination.settings[0].protocol == "HTTPS"


@pytest.mark.parametrize(
    ("users", "sentence"),
    [
        (b"", "no user"),
        (b"joe", "username:password"),
        (b"joe:secret", "use {SHA}"),
        (b"joe:{SHA}***", "base64"),
        (b"joe:{SHA}eA==", "20 bytes"),
        (USER + b"\r\n" + USER, "twice"),
    ],
)
def test_users_that_envoy_could_not_read_are_refused_without_being_shown(users: bytes, sentence: str) -> None:
    with pytest.raises(Fault, match=sentence) as fault:
        basic_auth.check(users)
    assert "secret" not in str(fault.value)


def test_users_may_end_in_carriage_returns() -> None:
    basic_auth.check(USER + b"\r\nann:" + USER.partition(b":")[2] + b"\r\n")


def test_the_first_secret_that_knows_a_client_has_the_word() -> None:
    around = Around(secrets={"default/one": {"b": "!1", "a": "!2"}, "default/two": {"a": "!3", "c": "!4"}})
    spec = msgspec.convert({"credentialRefs": [{"name": "one"}, {"name": "two"}]}, ApiKeyAuthSpec)
    found = api_key_auth.translate(spec, POLICY, around).credentials
    assert [(base64.b64decode(c.client).decode(), c.key) for c in found] == [("a", "!2"), ("b", "!1"), ("c", "!4")]


def test_a_key_that_two_clients_have_is_refused() -> None:
    around = Around(secrets={"default/one": {"a": "!1", "b": "!1"}})
    with pytest.raises(Fault, match="duplicated"):
        api_key_auth.translate(msgspec.convert({"credentialRefs": [{"name": "one"}]}, ApiKeyAuthSpec), POLICY, around)


def test_a_merged_authorization_service_belongs_to_who_wrote_each_part() -> None:
    around = Around(config_maps={"default/own": {"k": "mine"}}, secrets={"infra/theirs": {"k": "!d29yZA=="}})
    told = [
        {"name": "a", "type": "ValueRef", "valueRef": {"kind": "ConfigMap", "name": "own", "key": "k"}},
        {"name": "b", "type": "ValueRef", "valueRef": {"kind": "Secret", "name": "theirs", "key": "k"}},
    ]
    spec = msgspec.convert({"grpc": {"backendRefs": [{"name": "auth", "port": 9000}]}, "contextExtensions": told}, ExtAuthSpec)
    owners = ext_auth.Owners(whole=POLICY, service=PARENT, extension=lambda name: POLICY if name == "a" else PARENT)
    made = ext_auth.translate(spec, owners, around)
    assert made.grpc is not None
    assert (made.name, made.grpc.destination.name) == ("securitypolicy/default/p", "securitypolicy/infra/q/extauth/0")
    assert made.grpc.authority == "auth.infra:9000"
    assert [e.value for e in made.context_extensions] == ["bWluZQ==", "!d29yZA=="]


def test_origins_lose_their_scheme_and_wildcards_become_regexes() -> None:
    made = csrf.translate(CsrfSpec(additional_origins=("https://a.example.com", "http://*.b.com", "*")))
    assert [o.exact or o.safe_regex for o in made.additional_origins] == ["a.example.com", r".*\.b\.com", ".*"]


@pytest.mark.parametrize(("numerator", "denominator"), [(2, 1), (-1, 2), (0, 0), (0, -1)])
def test_a_share_that_is_none_is_refused(numerator: int, denominator: int) -> None:
    spec = msgspec.convert({"shadowFraction": {"numerator": numerator, "denominator": denominator}}, CsrfSpec)
    with pytest.raises(Fault, match="no fraction"):
        csrf.translate(spec)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"timeout": "-1s"}, "invalid timeout"),
        ({"bodyToExtAuth": {"maxRequestBytes": 0}}, "maxRequestBytes"),
        ({"http": {"backendRefs": [{"name": "auth", "port": 1}], "pathOverride": "a"}}, "pathOverride"),
        ({"grpc": {"backendRefs": [{"name": "auth", "port": 1}]}}, "only one of"),
        ({"http": None}, "one of grpc or http"),
        ({"http": {}}, "must be specified"),
    ],
)
def test_an_authorization_service_that_could_not_be_asked_is_refused(more: dict[str, Any], sentence: str) -> None:
    spec = msgspec.convert({"http": {"backendRefs": [{"name": "auth", "port": 1}]}, **more}, ExtAuthSpec)
    with pytest.raises(Fault, match=sentence):
        ext_auth.translate(spec, ext_auth.Owners(POLICY, POLICY, lambda _: POLICY), Around())


def rules(*specs: dict[str, Any]) -> AuthorizationSpec:
    return msgspec.convert({"rules": list(specs)}, AuthorizationSpec)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"principal": {"clientCIDRs": ["10.0.0.0"]}}, "invalid CIDR"),
        ({"principal": {"clientCIDRs": ["10.0.0.0/99"]}}, "invalid CIDR"),
        ({"operation": {"path": {"type": "RegularExpression", "value": "("}}}, "regex"),
        ({"cel": "1 +"}, "invalid CEL"),
        ({"cel": "[1].exists(x, x == 1)"}, "does not evaluate"),
        ({"cel": "request.path.lowerAscii() == 'a'"}, "no function lowerAscii"),
        ({"cel": "request.path.matches('(')"}, "regex"),
        ({"cel": "Foo{x: 1}.x == 1"}, "does not know the message"),
        ({"cel": "9223372036854775808 == 1"}, "out of range"),
        ({"cel": r"'\ud800' == 'a'"}, "half a character"),
        ({"principal": {"headers": [{"name": "x y", "values": ["a"]}]}}, "no name of a header"),
        ({"principal": {"headers": [{"name": "x"}]}}, "no values"),
        ({"principal": {"jwt": {"provider": "a", "claims": [{"name": "a..b", "values": ["c"]}]}}}, "empty name"),
        ({"principal": {}, "operation": {"methods": []}}, "says nothing"),
        ({}, "says nothing"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        authorization.translate(rules({"action": "Allow", **rule}), POLICY)


def test_networks_are_written_canonically_and_rules_named_after_their_place() -> None:
    made = authorization.translate(rules({"action": "Allow", "principal": {"clientCIDRs": ["10.1.2.3/8", "::1/128"]}}), POLICY)
    assert [(c.cidr, c.mask_len, c.is_ipv6) for c in made.rules[0].principal.client_cidrs] == [
        ("10.0.0.0/8", 8, False),
        ("::1/128", 128, True),
    ]
    assert made.rules[0].name == "securitypolicy/default/p/authorization/rule/0"
    assert made.default_action == "Deny"


def login(**more: Any) -> OidcSpec:
    provider = {
        "issuer": "https://idp.example.com",
        "authorizationEndpoint": "https://idp/auth",
        "tokenEndpoint": "https://idp.example.com/t",
    }
    return msgspec.convert({"provider": provider, "clientID": "me", "clientSecret": {"name": "s"}, **more}, OidcSpec)


OWNERS = oidc.Owners(POLICY, POLICY, POLICY, POLICY)
FACTS = {
    "https://idp.example.com": {
        "authorizationEndpoint": "https://found/auth",
        "tokenEndpoint": "https://found.example.com/t",
        "endSessionEndpoint": "https://found/end",
    },
    "https://number.example.com": {"authorizationEndpoint": "https://found/auth", "tokenEndpoint": "https://10.0.0.1/t"},
}
SECRET = Around(secrets={"default/s": {"client-secret": "!word"}}, facts=FACTS)


def test_a_login_keeps_its_secrets_sealed() -> None:
    made = oidc.translate(login(redirectURL="https://www.example.com/cb", scopes=["email"]), OWNERS, "uid", SECRET)
    assert (made.client_secret, made.hmac_secret) == ("!word", "!hmac")
    assert (made.redirect_path, made.scopes) == ("/cb", ("email", "openid"))


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ({}, ("https://found/auth", "https://found.example.com/t", "https://found/end")),
        ({"tokenEndpoint": "https://own.example.com/t"}, ("https://found/auth", "https://own.example.com/t", "https://found/end")),
        ({"endSessionEndpoint": "https://own/end"}, ("https://found/auth", "https://found.example.com/t", "https://own/end")),
        (
            {"authorizationEndpoint": "https://a/a", "tokenEndpoint": "https://own.example.com/t"},
            ("https://a/a", "https://own.example.com/t", None),
        ),
    ],
)
def test_endpoints_that_are_not_written_are_those_that_the_issuer_names(written: dict[str, str], used: tuple[str | None, ...]) -> None:
    made = oidc.translate(login(provider={"issuer": "https://idp.example.com", **written}), OWNERS, "uid", SECRET).provider
    assert (made.authorization_endpoint, made.token_endpoint, made.end_session_endpoint) == used


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"provider": {"issuer": "https://nobody.example.com"}}, "https://nobody.example.com does not exist"),
        ({"provider": {"issuer": "https://number.example.com"}}, "must be a domain name: https://10.0.0.1/t"),
        ({"redirectURL": "ftp://x/cb"}, "invalid redirect URL"),
        ({"redirectURL": "https://x/"}, "invalid redirect URL"),
        ({"defaultTokenTTL": "long"}, "defaultTokenTTL"),
        ({"clientID": None, "clientIDRef": None}, "client ID must be specified"),
    ],
)
def test_a_login_that_could_not_work_is_refused(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        oidc.translate(login(**more), OWNERS, "uid", SECRET)


def test_tokens_pass_a_login_only_where_they_can_be_told_from_it() -> None:
    spec = login(passThroughAuthHeader=True, forwardIDToken={"header": "authorization"})
    with pytest.raises(Fault, match="JWT settings"):
        oidc.check(spec, None)
    with pytest.raises(Fault, match="reads from"):
        oidc.check(spec, providers(local()))
    with pytest.raises(Fault, match="read from a header"):
        oidc.check(spec, providers(local(extractFrom={"cookies": ["c"]})))
    oidc.check(login(passThroughAuthHeader=True), providers(local()))
