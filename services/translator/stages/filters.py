"""The filters of a rule, in their order. A filter that cannot be honoured answers for the requests that it would have handled."""

from __future__ import annotations

import base64
from collections.abc import Callable

from msgspec.structs import replace

from services.translator.stages.backends import named, upstream
from services.translator.stages.grants import permitted
from services.translator.stages.matches import Unmatchable, cookies_of
from services.translator.stages.tables import CONFIG_MAPS, HTTP_ROUTE_FILTERS, INVALID, SECRETS, core_ref, known_extension, settings
from shared.api.envoy import GROUP as ENVOY
from shared.api.gateway import BackendObjectReference, SecretObjectReference
from shared.api.routes import ExtensionRef, HttpRouteFilter, HttpRouteFilterObject
from shared.core.refs import ObjectRef
from shared.features.parts.filters import Filters, Lookup
from shared.features.parts.problem import Problem, not_accepted, unresolved
from shared.features.route.cors import translate as cors
from shared.features.route.credential_injection import translate as credential_injection
from shared.features.route.direct_response import translate as direct_response
from shared.features.route.direct_response.spec import CustomBodySpec
from shared.features.route.header_modifier import translate as header_modifier
from shared.features.route.mirror import translate as mirror
from shared.features.route.redirect import translate as redirect
from shared.features.route.url_rewrite import translate as url_rewrite
from shared.incremental import Db
from shared.ir.destination import DestinationSetting
from shared.ir.shards import extension_key

_LONGEST_BODY = 1 << 20
_Apply = Callable[[HttpRouteFilter, Filters, int, Lookup], Filters]

FILTERS: dict[str, tuple[str, _Apply]] = {
    "RequestHeaderModifier": ("request_header_modifier", lambda f, b, i, at: header_modifier.request(f.request_header_modifier, b)),  # type: ignore[arg-type]
    "ResponseHeaderModifier": ("response_header_modifier", lambda f, b, i, at: header_modifier.response(f.response_header_modifier, b)),  # type: ignore[arg-type]
    "RequestRedirect": ("request_redirect", lambda f, b, i, at: redirect.apply(f.request_redirect, b)),  # type: ignore[arg-type]
    "URLRewrite": ("url_rewrite", lambda f, b, i, at: url_rewrite.apply(f.url_rewrite, b)),  # type: ignore[arg-type]
    "RequestMirror": ("request_mirror", lambda f, b, i, at: mirror.apply(f.request_mirror, b, i, at)),  # type: ignore[arg-type]
    "CORS": ("cors", lambda f, b, i, at: cors.apply(f.cors, b)),  # type: ignore[arg-type]
    "ExtensionRef": ("extension_ref", lambda f, b, i, at: _extension(f, b, at)),
}
"""Filter type -> the field that holds it, and what it does to the filters so far. Without its field a filter does nothing."""


_ONLY: dict[str, tuple[str, ...]] = {
    "HTTPRoute": tuple(FILTERS),
    "GRPCRoute": ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"),
}


def lookup_of(db: Db, route: ObjectRef, gateway: ObjectRef, destination_name: str, by_address: bool | None = None) -> Lookup:
    """What filters may ask of the objects around them; `by_address` as for `upstream`."""

    def backend(ref: object, name: str) -> tuple[DestinationSetting | None, Problem | None]:
        assert isinstance(ref, BackendObjectReference)
        found = upstream(db, ref, route.namespace, route.kind, gateway, by_address)
        return (named(found.setting, name, 1) if found.setting is not None else None), found.problem

    def extension(kind: str, name: str) -> object | None:
        ref = ObjectRef(ENVOY, kind, route.namespace, name)
        return db.get(INVALID, ref) or db.get(HTTP_ROUTE_FILTERS, ref)

    def custom(group: str, kind: str, name: str) -> str | None:
        if (group, kind) not in settings(db).extensions.resources:
            raise KeyError(kind)
        ref = ObjectRef(group, kind, route.namespace, name)
        return extension_key(ref) if known_extension(db, ref) else None

    def body(spec: object) -> tuple[str, Problem | None]:
        assert isinstance(spec, CustomBodySpec)
        return _body(db, spec, route.namespace)

    def secret(ref: object, key: str) -> tuple[str, str | None]:
        assert isinstance(ref, SecretObjectReference)
        return _secret(db, ref, key, route.namespace)

    return Lookup(
        namespace=route.namespace,
        destination_name=destination_name,
        backend=backend,
        extension=extension,
        custom=custom,
        body=body,
        secret=secret,
    )


def filters_of(specs: tuple[HttpRouteFilter, ...], lookup: Lookup, kind: str) -> Filters:
    """All filters of a rule in a route of this kind; nothing after a filter that answers itself counts."""
    so_far = Filters()
    for i, spec in enumerate(specs):
        if so_far.direct_response is not None:
            break
        known = FILTERS.get(spec.type) if spec.type in _ONLY[kind] else None
        if known is None:
            so_far = so_far.refused(not_accepted(f"invalid filter {spec.type}: unsupported filter type {spec.type}"))
        elif getattr(spec, known[0]) is not None:
            so_far = known[1](spec, so_far, i, lookup)
        elif spec.type == "ExtensionRef":
            text = "invalid filter ExtensionRef: extensionRef field must be specified for an extended filter"
            so_far = so_far.refused(not_accepted(text))
    return _meaningful(_compatible(so_far), kind)


def _compatible(done: Filters) -> Filters:
    if not done.mirrors:
        return done
    for field, what in (("direct_response", "DirectResponse"), ("redirect", "RequestRedirect")):
        if getattr(done, field) is not None:
            text = f"RequestMirror filter cannot be used when the rule also configures a {what} filter"
            done = replace(done, mirrors=(), **{field: None}).failed(not_accepted(text, "IncompatibleFilters"))
    return done


def _meaningful(done: Filters, kind: str) -> Filters:
    """Success in gRPC is a message and a trailer, which a proxy cannot make up."""
    if kind == "GRPCRoute" and done.direct_response is not None and 200 <= done.direct_response.status_code < 300:
        text = "DirectResponse with a 2xx status code is not supported for GRPCRoute"
        return replace(done, direct_response=None).failed(not_accepted(text))
    return done


def _extension(spec: HttpRouteFilter, before: Filters, lookup: Lookup) -> Filters:
    ref = spec.extension_ref
    assert ref is not None
    if (ref.group, ref.kind) != (ENVOY, "HTTPRouteFilter"):
        return _custom(ref, before, lookup)
    found = lookup.extension(ref.kind, ref.name)
    if not isinstance(found, HttpRouteFilterObject):
        why = "" if found is None else f": {getattr(found, 'message', '')}"
        text = f"Unable to translate HTTPRouteFilter: {lookup.namespace}/{ref.name}{why}"
        return before.refused(unresolved(text, "UnsupportedValue"))
    return _extended(found, before, lookup)


def _custom(ref: ExtensionRef, before: Filters, lookup: Lookup) -> Filters:
    """A filter that an extension server carries out."""
    try:
        key = lookup.custom(ref.group, ref.kind, ref.name)
    except KeyError:
        return before.refused(not_accepted(f"invalid filter ExtensionRef: unknown kind {ref.group}/{ref.kind}"))
    if key is None:
        text = f"Reference {lookup.namespace}/{ref.name} not found for filter type: {ref.kind}"
        return before.refused(unresolved(text, "UnsupportedValue"))
    return replace(before, extensions=(*before.extensions, key))


def _extended(row: HttpRouteFilterObject, before: Filters, lookup: Lookup) -> Filters:
    spec, so_far = row.spec, before
    if spec.matches and so_far.cookie_matches:
        return so_far.failed(not_accepted("only one HTTPRouteFilter with matches is supported per HTTPRouteRule"))
    if spec.matches:
        try:
            so_far = replace(so_far, cookie_matches=tuple(cookies_of(m.cookies) for m in spec.matches))
        except Unmatchable as e:
            return so_far.failed(e.problem)
    if spec.url_rewrite is not None:
        problems = len(so_far.problems)
        so_far = url_rewrite.apply_extended(spec.url_rewrite, so_far)
        if len(so_far.problems) > problems:
            return so_far
    if spec.direct_response is not None:
        so_far = direct_response.apply(spec.direct_response, so_far, lookup)
    if spec.credential_injection is not None:
        so_far = credential_injection.apply(spec.credential_injection, so_far, lookup, row.metadata.name)
    return so_far


def _secret(db: Db, ref: SecretObjectReference, key: str, namespace: str) -> tuple[str, str | None]:
    target = core_ref("Secret", ref.namespace or namespace, ref.name)
    at = f"{target.namespace}/{target.name}"
    if ref.group or ref.kind != "Secret":
        return "", f"secret ref must be of kind Secret, not {ref.group}/{ref.kind}"
    if not permitted(db, ENVOY, "HTTPRouteFilter", namespace, target):
        return "", f"reference to secret {at} not permitted by any ReferenceGrant"
    row = db.get(SECRETS, target)
    if row is None:
        return "", f"secret {at} does not exist"
    value = row.data.get(key)
    return (value, None) if value else ("", f"key {key} not found in secret {at}")


def _body(db: Db, spec: CustomBodySpec, namespace: str) -> tuple[str, Problem | None]:
    """Base64 of an inline body, or of a ConfigMap's."""
    body, fault = custom_body(db, spec, namespace)
    if fault is not None:
        return "", not_accepted(fault)
    if len(body) > _LONGEST_BODY:
        return "", not_accepted(f"response.body size {len(body)} greater than the max size {_LONGEST_BODY}")
    return base64.b64encode(body).decode(), None


def custom_body(db: Db, spec: CustomBodySpec, namespace: str) -> tuple[bytes, str | None]:
    """An inline body, or that of a ConfigMap in that namespace, and why there is none."""
    if spec.type != "ValueRef":
        return (spec.inline or "").encode(), None
    ref = spec.value_ref
    if ref is None or ref.kind != "ConfigMap":
        return b"", "response body valueRef must refer to a ConfigMap"
    row = db.get(CONFIG_MAPS, core_ref("ConfigMap", namespace, ref.name))
    if row is None:
        return b"", f"can't find the referenced configmap {namespace}/{ref.name}"
    for values, decode in ((row.data, str.encode), (row.binary_data, base64.b64decode)):
        value = values.get("response.body", next(iter(values.values()), None))
        if value is not None:
            try:
                return decode(value), None
            except ValueError as e:
                return b"", f"configmap {namespace}/{ref.name}: {e}"
    return b"", f"can't find the key response.body in the referenced configmap {namespace}/{ref.name}"
