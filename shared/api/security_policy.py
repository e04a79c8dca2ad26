"""SecurityPolicy: who may ask, and how it is found out. Its parts are the features' own."""

from __future__ import annotations

import msgspec

from shared.api.targets import PolicyObject, PolicyTargets
from shared.features.security.api_key_auth.spec import ApiKeyAuthSpec
from shared.features.security.authorization.spec import AuthorizationSpec
from shared.features.security.basic_auth.spec import BasicAuthSpec
from shared.features.security.cors.spec import PolicyCorsSpec
from shared.features.security.csrf.spec import CsrfSpec
from shared.features.security.ext_auth.spec import ExtAuthSpec
from shared.features.security.jwt.spec import JwtSpec
from shared.features.security.oidc.spec import OidcSpec


class SecurityPolicySpec(PolicyTargets, frozen=True):
    cors: PolicyCorsSpec | None = None
    csrf: CsrfSpec | None = None
    jwt: JwtSpec | None = None
    oidc: OidcSpec | None = None
    api_key_auth: ApiKeyAuthSpec | None = msgspec.field(default=None, name="apiKeyAuth")
    basic_auth: BasicAuthSpec | None = None
    ext_auth: ExtAuthSpec | None = None
    authorization: AuthorizationSpec | None = None


class SecurityPolicy(PolicyObject, frozen=True):
    spec: SecurityPolicySpec = SecurityPolicySpec()
