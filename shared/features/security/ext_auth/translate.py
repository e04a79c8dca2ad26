"""External authorization: who is asked, with what of the request, and what if there is no answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from shared.api.gateway import SecretObjectReference
from shared.core import durations
from shared.core.refs import ObjectRef
from shared.features.parts import backend_settings
from shared.features.parts.policy_lookup import Fault, Lookup, config_name, service_name
from shared.features.parts.service_spec import ServiceSpec
from shared.features.security.ext_auth.ir import BodyToAuth, ContextExtension, ExtAuth, GrpcAuthService, HttpAuthService
from shared.features.security.ext_auth.spec import ContextExtensionSpec, ExtAuthSpec, KeyRef
from shared.ir.destination import Destination


class Owners(NamedTuple):
    """Who wrote the whole, its service, and each of its context extensions by name."""

    whole: ObjectRef
    service: ObjectRef
    extension: Callable[[str], ObjectRef]


def translate(spec: ExtAuthSpec, owners: Owners, lookup: Lookup) -> ExtAuth:
    """Raises Fault."""
    if spec.http is not None and spec.grpc is not None:
        raise Fault("only one of grpc or http can be specified")
    http, grpc = None, None
    if spec.http is not None:
        if spec.http.path_override and not spec.http.path_override.startswith("/"):
            raise Fault(f"pathOverride {spec.http.path_override!r} does not start with a slash")
        destination, authority = _service(spec.http, owners.service, lookup, "http")
        http = HttpAuthService(
            destination=destination,
            authority=authority,
            path=spec.http.path or "",
            path_override=spec.http.path_override or "",
            headers_to_backend=spec.http.headers_to_backend,
        )
    elif spec.grpc is not None:
        destination, authority = _service(spec.grpc, owners.service, lookup, "grpc")
        grpc = GrpcAuthService(destination=destination, authority=authority)
    else:
        raise Fault("one of grpc or http must be specified")
    body = spec.body_to_ext_auth
    if body is not None and body.max_request_bytes <= 0:
        raise Fault(f"maxRequestBytes has to be more than nothing, not {body.max_request_bytes}")
    return ExtAuth(
        name=config_name(owners.whole),
        http=http,
        grpc=grpc,
        headers_to_ext_auth=spec.headers_to_ext_auth,
        body_to_ext_auth=BodyToAuth(max_request_bytes=body.max_request_bytes) if body is not None else None,
        context_extensions=tuple(_extension(e, owners.extension(e.name), lookup) for e in spec.context_extensions),
        fail_open=spec.fail_open,
        recompute_route=spec.recompute_route,
        include_route_metadata=spec.include_route_metadata,
        timeout=_timeout(spec.timeout),
        status_on_error=spec.status_on_error,
        traffic=backend_settings.translate((spec.http or spec.grpc or ServiceSpec()).backend_settings),
    )


def _service(spec: ServiceSpec, owner: ObjectRef, lookup: Lookup, kind: str) -> tuple[Destination, str]:
    if not spec.refs:
        raise Fault(f"{kind} backend refs must be specified")
    destination = lookup.destination(owner, service_name(owner, "extauth"), spec.refs, "HTTP" if kind == "http" else "GRPC")
    return destination, lookup.authority(owner, spec.refs[0])


def _timeout(text: str | None) -> str | None:
    """What is no duration counts as not written."""
    try:
        length = durations.parse(text) if text is not None else None
    except ValueError:
        return None
    if length is not None and length < 0:
        raise Fault(f"invalid timeout value {text}")
    return durations.show(length) if length is not None else None


def _extension(spec: ContextExtensionSpec, owner: ObjectRef, lookup: Lookup) -> ContextExtension:
    if spec.type != "ValueRef":
        return ContextExtension(name=spec.name, value=_base64(spec.value or ""))
    if spec.value_ref is None:
        raise Fault(f"context extension {spec.name} refers to nothing")
    return ContextExtension(name=spec.name, value=_value(spec.value_ref, owner, lookup))


def _value(ref: KeyRef, owner: ObjectRef, lookup: Lookup) -> str:
    """Base64 of a ConfigMap's value. A Secret holds base64 of the value itself, which stays sealed."""
    if ref.kind not in ("ConfigMap", "Secret"):
        raise Fault(f'unexpected reference to kind "{ref.kind}"')
    secret = ref.kind == "Secret"
    data = lookup.secret(owner, SecretObjectReference(name=ref.name)) if secret else lookup.config_map(owner, ref.name)
    if ref.key not in data:
        raise Fault(f"can't find the key {ref.key!r} in the referenced {ref.kind.lower()} {ref.name!r}")
    if not secret:
        return _base64(data[ref.key])
    try:
        base64.b64decode(lookup.opened(data[ref.key]), validate=True)
    except binascii.Error:
        raise Fault(f"the key {ref.key!r} in the referenced secret {ref.name!r} has to hold base64") from None
    return data[ref.key]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
