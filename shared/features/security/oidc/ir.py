"""IR of authentication by an OpenID Connect provider."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.traffic import Traffic


class OidcProvider(IR, frozen=True):
    """Tokens come from `destination` where it is given, otherwise from the host of the token endpoint."""

    authorization_endpoint: str = ""
    token_endpoint: str = ""
    end_session_endpoint: str | None = None
    destination: Destination | None = None
    traffic: Traffic | None = None


class CookieNames(IR, frozen=True):
    access_token: str | None = None
    id_token: str | None = None


class CookieConfig(IR, frozen=True):
    same_site: str | None = None


class RedirectHeader(IR, frozen=True):
    """`type` is Exact, Prefix, Suffix or RegularExpression; none means Exact."""

    name: str
    value: str = ""
    type: str | None = None


class DenyRedirect(IR, frozen=True):
    headers: tuple[RedirectHeader, ...] = ()


class Oidc(IR, frozen=True):
    """`client_secret` and `hmac_secret` are sealed, opened by xds_server alone. Durations are Go durations."""

    name: str
    provider: OidcProvider = OidcProvider()
    client_id: str = msgspec.field(default="", name="clientID")
    client_secret: str = ""
    hmac_secret: str = ""
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    redirect_url: str = msgspec.field(default="", name="redirectURL")
    redirect_path: str = ""
    logout_path: str = ""
    forward_access_token: bool = False
    forward_id_token_header: str | None = msgspec.field(default=None, name="forwardIDTokenHeader")
    refresh_token: bool = False
    default_token_ttl: str | None = msgspec.field(default=None, name="defaultTokenTTL")
    default_refresh_token_ttl: str | None = msgspec.field(default=None, name="defaultRefreshTokenTTL")
    csrf_token_ttl: str | None = msgspec.field(default=None, name="csrfTokenTTL")
    cookie_suffix: str = ""
    cookie_name_overrides: CookieNames | None = None
    cookie_domain: str | None = None
    cookie_config: CookieConfig | None = None
    pass_through_auth_header: bool = False
    disable_token_encryption: bool = False
    deny_redirect: DenyRedirect | None = None
