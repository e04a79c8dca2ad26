"""OpenID Connect: a login at a provider, whose endpoints are written, or what the provider itself says of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from shared.core.refs import ObjectRef
from shared.features.parts import backend_settings
from shared.features.parts.hostname import is_ip
from shared.features.parts.policy_lookup import Fault, Lookup, config_name, duration, service_name, value_at
from shared.features.security.jwt.spec import JwtSpec
from shared.features.security.oidc.ir import CookieConfig, CookieNames, DenyRedirect, Oidc, OidcProvider, RedirectHeader
from shared.features.security.oidc.spec import CLIENT_ID_KEY, CLIENT_SECRET_KEY, OidcProviderSpec, OidcSpec
from shared.ir.destination import Destination

DISCOVERY = "oidc"
"""The kind of question that an issuer answers: see services/resource_watcher/facts/oidc.py."""
_REDIRECT_URL = "%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/callback"
_REDIRECT_PATH = "/oauth2/callback"
_LOGOUT_PATH = "/logout"
_SCHEMES = ("http", "https", "%REQ(x-forwarded-proto)%")


class Owners(NamedTuple):
    """Who wrote the whole, the provider's services, the reference to the client's id, and that to its secret."""

    whole: ObjectRef
    service: ObjectRef
    client_id: ObjectRef
    client_secret: ObjectRef


def translate(spec: OidcSpec, owners: Owners, uid: str, lookup: Lookup) -> Oidc:
    """`uid` is the policy's: cookies of several policies on one host must not be taken for each other. Raises Fault."""
    provider = _provider(spec.provider, owners.service, lookup)
    client_id = _client_id(spec, owners.client_id, lookup)
    ref = spec.client_secret
    at = f"{ref.namespace or owners.client_secret.namespace}/{ref.name}"
    secret = value_at(lookup.secret(owners.client_secret, ref), CLIENT_SECRET_KEY, f"client secret not found in secret {at}")
    names, cookies = spec.cookie_names, spec.cookie_config
    deny = spec.deny_redirect
    return Oidc(
        name=config_name(owners.whole),
        provider=provider,
        client_id=client_id,
        client_secret=secret,
        hmac_secret=lookup.hmac_secret(),
        scopes=spec.scopes if "openid" in spec.scopes else (*spec.scopes, "openid"),
        resources=spec.resources,
        redirect_url=spec.redirect_url or _REDIRECT_URL,
        redirect_path=_path(spec.redirect_url) if spec.redirect_url is not None else _REDIRECT_PATH,
        logout_path=spec.logout_path or _LOGOUT_PATH,
        forward_access_token=spec.forward_access_token,
        forward_id_token_header=spec.forward_id_token.header if spec.forward_id_token is not None else None,
        refresh_token=spec.refresh_token,
        default_token_ttl=duration("defaultTokenTTL", spec.default_token_ttl),
        default_refresh_token_ttl=duration("defaultRefreshTokenTTL", spec.default_refresh_token_ttl),
        csrf_token_ttl=duration("csrfTokenTTL", spec.csrf_token_ttl),
        cookie_suffix=f"{_fnv(uid.encode()):08x}",
        cookie_name_overrides=CookieNames(access_token=names.access_token, id_token=names.id_token) if names is not None else None,
        cookie_domain=spec.cookie_domain,
        cookie_config=CookieConfig(same_site=cookies.same_site) if cookies is not None else None,
        pass_through_auth_header=spec.pass_through_auth_header,
        disable_token_encryption=spec.disable_token_encryption,
        deny_redirect=DenyRedirect(headers=tuple(RedirectHeader(name=h.name, value=h.value, type=h.type) for h in deny.headers))
        if deny is not None
        else None,
    )


def check(spec: OidcSpec, jwt: JwtSpec | None) -> None:
    """Raises Fault where a token that a client brings could not be told from one of the login."""
    if not spec.pass_through_auth_header:
        return
    if jwt is None:
        raise Fault("the OIDC.PassThroughAuthHeader setting must be used in conjunction with JWT settings")
    headers = [
        name.lower()
        for p in jwt.providers
        for name in (("Authorization",) if p.extract_from is None else tuple(h.name for h in p.extract_from.headers))
    ]
    if not headers:
        raise Fault("the OIDC.PassThroughAuthHeader setting must be used with a JWT provider that is configured to read from a header")
    if spec.forward_id_token is not None and spec.forward_id_token.header.lower() in headers:
        raise Fault(f"the OIDC.ForwardIDToken header {spec.forward_id_token.header!r} is one that a JWT provider reads from")


def _provider(spec: OidcProviderSpec, owner: ObjectRef, lookup: Lookup) -> OidcProvider:
    destination = None
    if spec.backend_refs:
        protocol = "HTTPS" if (spec.token_endpoint or spec.issuer).startswith("https://") else "HTTP"
        destination = lookup.destination(owner, service_name(owner, "oidc"), spec.backend_refs, protocol)  # type: ignore[arg-type]
    found: Mapping[str, Any] = {}
    if not spec.authorization_endpoint or not spec.token_endpoint:
        found = lookup.fact(DISCOVERY, _question(spec.issuer, destination))
    token_endpoint = spec.token_endpoint or found["tokenEndpoint"]
    try:
        host = urlsplit(token_endpoint).hostname or ""
    except ValueError as e:
        raise Fault(f"error parsing token endpoint URL: {e}") from None
    if is_ip(host):
        raise Fault(f"token endpoint URL must be a domain name: {token_endpoint}")
    return OidcProvider(
        authorization_endpoint=spec.authorization_endpoint or found["authorizationEndpoint"],
        token_endpoint=token_endpoint,
        end_session_endpoint=spec.end_session_endpoint or found.get("endSessionEndpoint"),
        destination=destination,
        traffic=backend_settings.translate(spec.backend_settings),
    )


def _question(issuer: str, destination: Destination | None) -> dict[str, Any]:
    """The provider answers as it will answer proxies: by the same authority, under the same name."""
    tls = next((s.tls for s in destination.settings if s.tls is not None), None) if destination is not None else None
    asked: dict[str, Any] = {"issuer": issuer}
    if tls is None:
        return asked
    if tls.ca_certificate is not None and tls.ca_certificate.certificate:
        asked["ca"] = base64.b64decode(tls.ca_certificate.certificate).decode(errors="replace")
    if tls.sni:
        asked["serverName"] = tls.sni
    return asked | ({"insecure": True} if tls.insecure_skip_verify else {})


def _client_id(spec: OidcSpec, owner: ObjectRef, lookup: Lookup) -> str:
    if spec.client_id is not None:
        return spec.client_id
    ref = spec.client_id_ref
    if ref is None:
        raise Fault("client ID must be specified")
    missing = f"client ID not found in secret {ref.namespace or owner.namespace}/{ref.name}"
    # every user's browser is shown it: it is no secret
    return lookup.opened(value_at(lookup.secret(owner, ref), CLIENT_ID_KEY, missing)).decode(errors="replace")


def _path(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if not separator or scheme not in _SCHEMES or not host or not slash or not path:
        raise Fault(f"invalid redirect URL {url}")
    return f"/{path}"


def _fnv(data: bytes) -> int:
    """FNV-1a of 32 bits."""
    digest = 0x811C9DC5
    for byte in data:
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return digest
