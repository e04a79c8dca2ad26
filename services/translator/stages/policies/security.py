"""SecurityPolicies: what one says of requests, at one Gateway. What cannot be translated refuses them: nobody comes in by mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.translator.stages.places import asks_addresses, geo_ip_provider, places_fault
from services.translator.stages.policies.addresses import detects
from services.translator.stages.policies.built import Built, Effective
from services.translator.stages.policies.lookup import PolicyLookup
from services.translator.stages.policies.owners import owner
from services.translator.stages.proxies import effective as proxy_of
from services.translator.stages.tables import POLICIES
from shared.api.security_policy import SecurityPolicySpec
from shared.core.refs import ObjectRef
from shared.features.parts.policy_lookup import Fault
from shared.features.security.api_key_auth import translate as api_key_auth
from shared.features.security.authorization import translate as authorization
from shared.features.security.authorization.ir import Authorization
from shared.features.security.basic_auth import translate as basic_auth
from shared.features.security.cors import translate as cors
from shared.features.security.csrf import translate as csrf
from shared.features.security.ext_auth import translate as ext_auth
from shared.features.security.jwt import translate as jwt
from shared.features.security.oidc import translate as oidc
from shared.incremental import Db
from shared.ir.security import SecurityFeatures

Spec = SecurityPolicySpec
_NO_ADDRESSES = (
    "authorization clientIPGeoLocations requires exactly one way of ClientTrafficPolicy.spec.clientIPDetection, without trustedCIDRs"
)
_Make = Callable[["Effective[Spec]", PolicyLookup], Any]


def _cors(of: Effective[Spec], _: PolicyLookup) -> Any:
    return cors.translate(of.spec.cors) if of.spec.cors is not None else None


def _csrf(of: Effective[Spec], _: PolicyLookup) -> Any:
    return csrf.translate(of.spec.csrf) if of.spec.csrf is not None else None


def _jwt(of: Effective[Spec], lookup: PolicyLookup) -> Any:
    if of.spec.jwt is None:
        return None
    return jwt.translate(of.spec.jwt, owner(of, lambda s: s.jwt is not None and s.jwt.providers), lookup)


def _oidc(of: Effective[Spec], lookup: PolicyLookup) -> Any:
    spec = of.spec.oidc
    if spec is None:
        return None
    oidc.check(spec, of.spec.jwt)
    owners = oidc.Owners(
        whole=owner(of, lambda s: s.oidc is not None),
        service=owner(of, lambda s: s.oidc is not None and s.oidc.provider.backend_refs),
        client_id=owner(of, lambda s: s.oidc is not None and s.oidc.client_id_ref is not None),
        client_secret=owner(of, lambda s: s.oidc is not None),
    )
    row = lookup.db.get(POLICIES, owners.whole)
    return oidc.translate(spec, owners, row.uid if row is not None else "", lookup)


def _basic_auth(of: Effective[Spec], lookup: PolicyLookup) -> Any:
    spec = of.spec.basic_auth
    return basic_auth.translate(spec, owner(of, lambda s: s.basic_auth is not None), lookup) if spec is not None else None


def _api_key_auth(of: Effective[Spec], lookup: PolicyLookup) -> Any:
    spec = of.spec.api_key_auth
    if spec is None:
        return None
    return api_key_auth.translate(spec, owner(of, lambda s: s.api_key_auth is not None and s.api_key_auth.credential_refs), lookup)


def _authorization(of: Effective[Spec], _: PolicyLookup) -> Any:
    spec = of.spec.authorization
    if spec is None:
        return None
    return authorization.translate(spec, owner(of, lambda s: s.authorization is not None and s.authorization.rules))


def _unknown_places(db: Db, made: Authorization | None, gateway: ObjectRef) -> str | None:
    """Why the Gateway's proxies cannot tell where clients are, which rules ask."""
    if made is None or not asks_addresses(made):
        return None
    fault = places_fault(made, geo_ip_provider(proxy_of(db, gateway).spec))
    return fault if fault is not None or any(detects(db, gateway)) else _NO_ADDRESSES


def _ext_auth(of: Effective[Spec], lookup: PolicyLookup) -> Any:
    spec = of.spec.ext_auth
    if spec is None:
        return None

    def told(name: str) -> Callable[[Spec], object]:
        return lambda s: s.ext_auth is not None and any(e.name == name for e in s.ext_auth.context_extensions)

    owners = ext_auth.Owners(
        whole=owner(of, lambda s: s.ext_auth is not None),
        service=owner(of, lambda s: s.ext_auth is not None and any(x.refs for x in (s.ext_auth.http, s.ext_auth.grpc) if x is not None)),
        extension=lambda name: owner(of, told(name)),
    )
    return ext_auth.translate(spec, owners, lookup)


_FEATURES: dict[str, tuple[str, _Make]] = {
    "cors": ("CORS", _cors),
    "csrf": ("CSRF", _csrf),
    "jwt": ("JWT", _jwt),
    "oidc": ("OIDC", _oidc),
    "basic_auth": ("BasicAuth", _basic_auth),
    "api_key_auth": ("APIKeyAuth", _api_key_auth),
    "authorization": ("Authorization", _authorization),
    "ext_auth": ("ExtAuth", _ext_auth),
}
"""Field of the IR -> what conditions call it, and how it is made."""


def build(db: Db, effective: Effective[Spec], gateway: ObjectRef) -> Built[SecurityFeatures]:
    """Raises Pending while something that the policy names is unknown."""
    lookup = PolicyLookup(db, gateway)
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for field, (shown, make) in _FEATURES.items():
        try:
            found[field] = make(effective, lookup)
        except Fault as e:
            faults[field] = f"{shown}: {e}"
    if (fault := _unknown_places(db, found.get("authorization"), gateway)) is not None:
        faults["authorization"] = f"Authorization: {fault}"
    auth = effective.spec.ext_auth
    # who cannot be asked may be left out, if the policy says so
    opens = faults.keys() == {"ext_auth"} and auth is not None and bool(auth.fail_open)
    return Built(SecurityFeatures(**found), tuple(faults.values()), "served" if opens else "refused")


def deprecated(spec: Spec) -> Mapping[str, str]:
    """Fields that are used although others replace them."""
    auth = spec.ext_auth
    services = (("grpc", auth.grpc), ("http", auth.http)) if auth is not None else ()
    found = {"spec.targetRef": "spec.targetRefs"} if spec.target_ref is not None else {}
    return found | {
        f"spec.extAuth.{kind}.backendRef": f"spec.extAuth.{kind}.backendRefs"
        for kind, service in services
        if service is not None and service.backend_ref is not None
    }
