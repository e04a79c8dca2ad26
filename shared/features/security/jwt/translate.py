"""JWT: which issuers a route trusts, and where their keys come from."""

from __future__ import annotations

import re
from email.utils import parseaddr
from urllib.parse import urlsplit

from shared.core.refs import ObjectRef
from shared.features.parts import backend_settings
from shared.features.parts.policy_lookup import Fault, Lookup, any_value, duration, header_name, positive_duration, service_name
from shared.features.security.jwt.ir import ClaimToHeader, HeaderExtractor, Jwt, JwtExtractor, JwtProvider, RemoteJwks
from shared.features.security.jwt.jwks import jwks_fault
from shared.features.security.jwt.spec import KEY, JwtExtractorSpec, JwtProviderSpec, JwtSpec, LocalJwksSpec, RemoteJwksSpec

_NAME = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def translate(spec: JwtSpec, owner: ObjectRef, lookup: Lookup) -> Jwt:
    """`owner` is who wrote the providers. Raises Fault."""
    names = [p.name for p in spec.providers]
    for each in spec.providers:
        _check(each, names)
    providers = tuple(_provider(each, i, owner, lookup) for i, each in enumerate(spec.providers))
    return Jwt(allow_missing=spec.optional, allow_missing_or_failed=spec.fail_open, providers=providers)


def is_uri(text: str) -> bool:
    """Whether it is a URI with a scheme, or an absolute path."""
    if any(c.isspace() for c in text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.scheme or text.startswith("/")) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False


def _check(spec: JwtProviderSpec, names: list[str]) -> None:
    if not spec.name:
        raise Fault("jwt provider cannot be an empty string")
    if not _NAME.fullmatch(spec.name):
        raise Fault(f"jwt provider name {spec.name!r} is not a qualified name")
    if names.count(spec.name) > 1:
        raise Fault(f"provider name {spec.name} must be unique")
    if ":" in spec.issuer and not is_uri(spec.issuer):
        raise Fault("invalid issuer; when issuer contains ':' character, it MUST be a valid URI")
    if ":" not in spec.issuer and "@" in spec.issuer and "@" not in parseaddr(spec.issuer)[1]:
        raise Fault("invalid issuer; when issuer contains '@' character, it MUST be a valid email address")
    if (spec.remote_jwks is None) == (spec.local_jwks is None):
        raise Fault(f"either remoteJWKS or localJWKS must be specified for jwt provider: {spec.name}")
    for each in spec.claim_to_headers:
        if not each.header or not each.claim:
            raise Fault(f"header and claim must be set for claimToHeaders of provider: {spec.name}")
        header_name("claimToHeaders", each.header)


def _provider(spec: JwtProviderSpec, index: int, owner: ObjectRef, lookup: Lookup) -> JwtProvider:
    return JwtProvider(
        name=spec.name,
        issuer=spec.issuer,
        audiences=spec.audiences,
        claim_to_headers=tuple(ClaimToHeader(header=c.header, claim=c.claim) for c in spec.claim_to_headers),
        recompute_route=spec.recompute_route,
        extract_from=_extractor(spec.extract_from) if spec.extract_from is not None else None,
        remote_jwks=_remote(spec.remote_jwks, spec.name, index, owner, lookup) if spec.remote_jwks is not None else None,
        local_jwks=_local(spec.local_jwks, spec.name, owner, lookup) if spec.local_jwks is not None else None,
    )


def _extractor(spec: JwtExtractorSpec) -> JwtExtractor:
    if not all((*spec.cookies, *spec.params)):
        raise Fault("a cookie or a parameter of extractFrom has no name")
    headers = tuple(HeaderExtractor(name=header_name("extractFrom", h.name), value_prefix=h.value_prefix) for h in spec.headers)
    return JwtExtractor(headers=headers, cookies=spec.cookies, params=spec.params)


def _remote(spec: RemoteJwksSpec, name: str, index: int, owner: ObjectRef, lookup: Lookup) -> RemoteJwks:
    if not spec.uri:
        raise Fault(f"uri must be set for remote JWKS provider: {name}")
    if not is_uri(spec.uri) or urlsplit(spec.uri).scheme not in ("http", "https") or not urlsplit(spec.uri).hostname:
        raise Fault(f"invalid remote JWKS URI: {spec.uri}")
    destination = None
    # the deprecated backendRef counts for nothing here
    if spec.backend_refs:
        protocol = "HTTPS" if spec.uri.startswith("https://") else "HTTP"
        destination = lookup.destination(owner, service_name(owner, "jwt", index), spec.backend_refs, protocol)  # type: ignore[arg-type]
    return RemoteJwks(
        uri=spec.uri,
        destination=destination,
        traffic=backend_settings.translate(spec.backend_settings),
        cache_duration=positive_duration("cacheDuration", spec.cache_duration),
        failed_refetch_duration=duration("failedRefetchDuration", spec.failed_refetch_duration),
    )


def _local(spec: LocalJwksSpec, name: str, owner: ObjectRef, lookup: Lookup) -> str:
    found = _keys(spec, name, owner, lookup)
    if found and (fault := jwks_fault(found)) is not None:
        raise Fault(f"invalid local JWKS of provider {name}: {fault}")
    return found


def _keys(spec: LocalJwksSpec, name: str, owner: ObjectRef, lookup: Lookup) -> str:
    if spec.type != "ValueRef":
        if spec.inline is None:
            raise Fault(f"inline JWKS must be set for local JWKS provider: {name} if type is Inline")
        return spec.inline
    if spec.value_ref is None:
        raise Fault(f"valueRef must be set for local JWKS provider: {name} if type is ValueRef")
    found = any_value(lookup.config_map(owner, spec.value_ref.name), KEY)
    if found is None:
        raise Fault(f"JWKS data not found in ConfigMap {owner.namespace}/{spec.value_ref.name}, no {KEY!r} key and no other data found")
    return found
