"""OpenID Connect in Envoy: one filter on the listener that does nothing, all of it on each route; its secrets come by SDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.features.parts.external import Service, cluster_of, http_uri, place, request_timeout, retry_policy
from shared.features.parts.xds_values import Unrenderable, config_source, duration, given, string_matcher, wrapped
from shared.features.security.jwt.ir import Jwt
from shared.features.security.oidc.ir import Oidc, RedirectHeader
from shared.ir.http import HttpRoute
from shared.ir.match import StringMatch
from shared.ir.security import SecurityFeatures
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.oauth2"
_MESSAGES = "envoy.extensions.filters.http.oauth2.v3"
_SAME_SITE = {"Strict": "STRICT", "Lax": "LAX", "None": "NONE"}
_COOKIES = ("bearer_token", "oauth_hmac", "oauth_expires", "id_token", "refresh_token", "oauth_nonce", "code_verifier")
_NAMES = {
    "bearer_token": "AccessToken",
    "oauth_hmac": "OauthHMAC",
    "oauth_expires": "OauthExpires",
    "id_token": "IdToken",
    "refresh_token": "RefreshToken",
    "oauth_nonce": "OauthNonce",
}
_MATCHES: dict[str | None, Callable[[str], StringMatch]] = {
    "Prefix": lambda text: StringMatch(prefix=text),
    "Suffix": lambda text: StringMatch(suffix=text),
    "RegularExpression": lambda text: StringMatch(safe_regex=text),
}


def secrets(of: SecurityFeatures) -> dict[str, str]:
    """Name of an SDS secret -> the sealed value."""
    oidc = of.oidc
    if oidc is None:
        return {}
    return {_client_secret(oidc): oidc.client_secret, _hmac_secret(oidc): oidc.hmac_secret}


def _client_secret(of: Oidc) -> str:
    return f"oauth2/client_secret/{of.name}"


def _hmac_secret(of: Oidc) -> str:
    return f"oauth2/hmac_secret/{of.name}"


def services(of: SecurityFeatures) -> Iterator[Service]:
    """Where tokens come from."""
    if of.oidc is not None:
        provider = of.oidc.provider
        yield Service(provider.destination, provider.token_endpoint, provider.traffic)


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    if route.security is None or route.security.oidc is None:
        return {}
    return {NAME: {"name": NAME, "typed_config": pack(f"{_MESSAGES}.OAuth2")}}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the provider of this route."""
    if route.security is None or route.security.oidc is None:
        return {}
    return {NAME: pack(f"{_MESSAGES}.OAuth2PerRoute", {"config": _config(route.security.oidc, route.security.jwt)})}


def _config(of: Oidc, jwt: Jwt | None) -> Fields:
    provider = of.provider
    if not (provider.destination is not None and provider.destination.settings) and place(provider.token_endpoint).by_address:
        raise Unrenderable(f"the token endpoint must be named by a host, not by an address: {provider.token_endpoint}")
    cluster = cluster_of(provider.destination, provider.token_endpoint)
    header = of.forward_id_token_header
    # what the client sends as Authorization is kept, unless a token goes there
    forwards = of.forward_access_token or (header or "").lower() == "authorization"
    return given(
        {
            "stat_prefix": of.name,
            "token_endpoint": http_uri(provider.token_endpoint, cluster, request_timeout(provider.traffic)),
            "authorization_endpoint": provider.authorization_endpoint,
            "end_session_endpoint": provider.end_session_endpoint,
            "redirect_uri": of.redirect_url,
            "redirect_path_matcher": _path(of.redirect_path),
            "signout_path": _path(of.logout_path),
            "use_refresh_token": wrapped(of.refresh_token),
            "forward_bearer_token": of.forward_access_token,
            "credentials": _credentials(of),
            "auth_type": "BASIC_AUTH",
            "auth_scopes": list(of.scopes),
            "resources": list(of.resources),
            "preserve_authorization_header": not forwards,
            "disable_token_encryption": of.disable_token_encryption,
            "default_expires_in": _duration(of.default_token_ttl),
            "default_refresh_token_expires_in": _duration(of.default_refresh_token_ttl),
            "csrf_token_expires_in": _duration(of.csrf_token_ttl),
            "retry_policy": retry_policy(provider.traffic),
            "pass_through_matcher": _tokens(jwt) if of.pass_through_auth_header and jwt is not None else None,
            "deny_redirect_matcher": [_matcher(h) for h in of.deny_redirect.headers] if of.deny_redirect is not None else None,
            "cookie_configs": _cookies(of),
            "forward_id_token": {"header": header} if header is not None else None,
        }
    )


def _duration(text: str | None) -> Fields | None:
    return duration(text) if text is not None else None


def _path(path: str) -> Fields:
    return {"path": {"exact": path}}


def _credentials(of: Oidc) -> Fields:
    names = {f: f"{name}-{of.cookie_suffix}" for f, name in _NAMES.items()}
    overrides = of.cookie_name_overrides
    for field, name in (("bearer_token", overrides.access_token), ("id_token", overrides.id_token)) if overrides is not None else ():
        if name is not None:
            names[field] = name
    return given(
        {
            "client_id": of.client_id,
            "token_secret": {"name": _client_secret(of), "sds_config": config_source()},
            "hmac_secret": {"name": _hmac_secret(of), "sds_config": config_source()},
            "cookie_names": names,
            "cookie_domain": of.cookie_domain,
        }
    )


def _cookies(of: Oidc) -> Fields | None:
    same_site = of.cookie_config.same_site if of.cookie_config is not None else None
    if same_site is None:
        return None
    return {f"{cookie}_cookie_config": {"same_site": _SAME_SITE.get(same_site, "DISABLED")} for cookie in _COOKIES}


def _matcher(of: RedirectHeader) -> Fields:
    match = _MATCHES[of.type](of.value) if of.type in _MATCHES else StringMatch(exact=of.value)
    return {"name": of.name, "string_match": string_matcher(match)}


def _tokens(jwt: Jwt) -> list[Fields]:
    """HeaderMatchers of the places where a token may stand: who brings one needs no login."""
    out: list[Fields] = []
    for provider in jwt.providers:
        if provider.extract_from is None:
            out.append({"name": "Authorization", "string_match": {"prefix": "Bearer "}})
            continue
        for header in provider.extract_from.headers:
            prefix = header.value_prefix
            out.append({"name": header.name} | ({"string_match": {"prefix": prefix}} if prefix is not None else {}))
    return out
