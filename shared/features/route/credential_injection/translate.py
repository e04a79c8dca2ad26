"""A Secret's credential into every request; what the proxy must not know in clear stays sealed."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.parts.filters import Filters, Lookup
from shared.features.parts.problem import not_accepted
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.route.credential_injection.spec import KEY, CredentialInjectionSpec


def apply(spec: CredentialInjectionSpec, before: Filters, lookup: Lookup, name: str) -> Filters:
    """`name` is the HTTPRouteFilter's."""
    sealed, fault = lookup.secret(spec.credential.value_ref, KEY)
    if fault is not None:
        return before.refused(not_accepted(f"invalid filter HTTPRouteFilter: {fault}"))
    injection = CredentialInjection(
        name=f"httproutefilter/{lookup.namespace}/{name}", credential=sealed, header=spec.header, overwrite=spec.overwrite
    )
    return replace(before, credential_injection=injection)
