"""OpenID Connect as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference
from shared.features.parts.service_spec import ServiceSpec

CLIENT_ID_KEY = "client-id"
CLIENT_SECRET_KEY = "client-secret"


class OidcProviderSpec(ServiceSpec, frozen=True):
    """Endpoints that are not written would have to be discovered at the issuer."""

    issuer: str = ""
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    end_session_endpoint: str | None = None


class ForwardIdTokenSpec(Spec, frozen=True):
    header: str


class CookieNamesSpec(Spec, frozen=True):
    access_token: str | None = None
    id_token: str | None = None


class CookieConfigSpec(Spec, frozen=True):
    same_site: str | None = None


class RedirectHeaderSpec(Spec, frozen=True):
    name: str
    value: str = ""
    type: str | None = None


class DenyRedirectSpec(Spec, frozen=True):
    headers: tuple[RedirectHeaderSpec, ...] = ()


class OidcSpec(Spec, frozen=True):
    """Either `client_id` or `client_id_ref`."""

    provider: OidcProviderSpec
    client_secret: SecretObjectReference
    client_id: str | None = msgspec.field(default=None, name="clientID")
    client_id_ref: SecretObjectReference | None = msgspec.field(default=None, name="clientIDRef")
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    redirect_url: str | None = msgspec.field(default=None, name="redirectURL")
    logout_path: str | None = None
    forward_access_token: bool = False
    forward_id_token: ForwardIdTokenSpec | None = msgspec.field(default=None, name="forwardIDToken")
    refresh_token: bool = True
    default_token_ttl: str | None = msgspec.field(default=None, name="defaultTokenTTL")
    default_refresh_token_ttl: str | None = msgspec.field(default=None, name="defaultRefreshTokenTTL")
    csrf_token_ttl: str | None = msgspec.field(default=None, name="csrfTokenTTL")
    cookie_names: CookieNamesSpec | None = None
    cookie_domain: str | None = None
    cookie_config: CookieConfigSpec | None = None
    pass_through_auth_header: bool = False
    disable_token_encryption: bool = False
    deny_redirect: DenyRedirectSpec | None = None
