"""The services that policies' specs name, for those who must know who is asked, whether or not a policy holds."""

from __future__ import annotations

from collections.abc import Iterator

from shared.api.extension_policy import EnvoyExtensionPolicySpec
from shared.api.security_policy import SecurityPolicySpec
from shared.api.targets import PolicyTargets
from shared.features.parts.service_spec import ServiceRef


def asked(spec: PolicyTargets) -> Iterator[ServiceRef]:
    """Every reference to a service, in the order of the spec."""
    if isinstance(spec, EnvoyExtensionPolicySpec):
        for each in spec.ext_proc:
            yield from each.backend_refs
    if not isinstance(spec, SecurityPolicySpec):
        return
    for provider in spec.jwt.providers if spec.jwt is not None else ():
        yield from provider.remote_jwks.backend_refs if provider.remote_jwks is not None else ()
    yield from spec.oidc.provider.backend_refs if spec.oidc is not None else ()
    for service in (spec.ext_auth.http, spec.ext_auth.grpc) if spec.ext_auth is not None else ():
        yield from service.refs if service is not None else ()
