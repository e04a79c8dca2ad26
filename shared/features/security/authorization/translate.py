"""Authorization: rules, each looked through, so that none of them can cost a listener."""

from __future__ import annotations

import ipaddress

from shared.core.refs import ObjectRef
from shared.features.parts.cel_calls import call_fault
from shared.features.parts.policy_lookup import Fault, config_name, header_name
from shared.features.parts.regex import regex_fault
from shared.features.security.authorization.ir import (
    Anonymity,
    Authorization,
    AuthorizationRule,
    CidrMatch,
    ClaimMatch,
    GeoLocation,
    HeaderValues,
    JwtPrincipal,
    Operation,
    PathOperation,
    Principal,
)
from shared.features.security.authorization.spec import (
    AuthorizationSpec,
    GeoLocationSpec,
    HeaderValuesSpec,
    JwtPrincipalSpec,
    OperationSpec,
    PrincipalSpec,
    RuleSpec,
)

_NOBODY, _NOTHING = (None, PrincipalSpec()), (None, OperationSpec())
_PATH_TYPES = (None, "PathPrefix", "Exact", "RegularExpression")


def translate(spec: AuthorizationSpec, owner: ObjectRef) -> Authorization:
    """`owner` is who wrote the rules. Raises Fault."""
    rules = tuple(_rule(rule, f"{config_name(owner)}/authorization/rule/{i}") for i, rule in enumerate(spec.rules))
    return Authorization(rules=rules, default_action=spec.default_action)


def check_for_connections(spec: AuthorizationSpec) -> None:
    """Raises Fault for what cannot be known of a connection."""
    for i, rule in enumerate(spec.rules):
        who = rule.principal or PrincipalSpec()
        for what, given in (
            ("CEL", rule.cel is not None),
            ("JWT", who.jwt is not None),
            ("headers", bool(who.headers)),
            ("clientIPGeoLocations", bool(who.client_ip_geo_locations)),
        ):
            if given:
                raise Fault(f"rule {i}: {what} not supported for TCP")


def _rule(spec: RuleSpec, default_name: str) -> AuthorizationRule:
    if spec.cel is not None and (fault := call_fault(spec.cel)) is not None:
        raise Fault(fault)
    if spec.principal in _NOBODY and spec.operation in _NOTHING and spec.cel is None:
        raise Fault(f"authorization rule {spec.name or default_name} says nothing about what it is for")
    return AuthorizationRule(
        name=spec.name or default_name,
        action=spec.action,
        operation=_operation(spec.operation) if spec.operation is not None else None,
        principal=_principal(spec.principal) if spec.principal is not None else Principal(),
        cel=spec.cel,
    )


def _operation(spec: OperationSpec) -> Operation:
    path = spec.path
    if path is None:
        return Operation(methods=spec.methods)
    if path.type not in _PATH_TYPES:
        raise Fault("unable to translate authorization rule: invalid path type")
    if path.type == "RegularExpression" and (fault := regex_fault(path.value)) is not None:
        raise Fault(f"unable to translate authorization rule: {fault}")
    return Operation(methods=spec.methods, path=PathOperation(value=path.value, type=path.type, invert=path.invert))


def _principal(spec: PrincipalSpec) -> Principal:
    return Principal(
        client_cidrs=tuple(_network(c) for c in spec.client_cidrs),
        jwt=_token(spec.jwt) if spec.jwt is not None else None,
        headers=tuple(_values(h) for h in spec.headers),
        client_ip_geo_locations=tuple(_place(g) for g in spec.client_ip_geo_locations),
    )


def _values(spec: HeaderValuesSpec) -> HeaderValues:
    if not spec.values:
        raise Fault(f"the header {spec.name} of an authorization rule has no values")
    return HeaderValues(name=header_name("header of an authorization rule", spec.name), values=spec.values)


def _network(text: str) -> CidrMatch:
    try:
        if "/" not in text:
            raise ValueError("there is no length in it")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as e:
        raise Fault(f"unable to translate authorization rule: invalid CIDR address {text}: {e}") from None
    return CidrMatch(cidr=str(network), is_ipv6=network.version == 6, mask_len=network.prefixlen)


def _token(spec: JwtPrincipalSpec) -> JwtPrincipal:
    for claim in spec.claims:
        if not all(claim.name.split(".")) or not claim.values:
            raise Fault(f"the claim {claim.name!r} of an authorization rule has an empty name or no values")
    claims = tuple(ClaimMatch(name=c.name, value_type=c.value_type, values=c.values) for c in spec.claims)
    return JwtPrincipal(provider=spec.provider, claims=claims, scopes=spec.scopes)


def _place(spec: GeoLocationSpec) -> GeoLocation:
    who = spec.anonymous
    anonymous = None
    if who is not None:
        anonymous = Anonymity(
            is_anonymous=who.is_anonymous, is_vpn=who.is_vpn, is_hosting=who.is_hosting, is_tor=who.is_tor, is_proxy=who.is_proxy
        )
    return GeoLocation(country=spec.country, region=spec.region, city=spec.city, asn=spec.asn, isp=spec.isp, anonymous=anonymous)
