"""From raw JSON to rows, one object at a time: what one object gets wrong costs that object alone.

A null is the same as an absent field, as for the API server; a wrong type is reported with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shared.api import (
    client_policy,
    core,
    envoy,
    extension_policy,
    gateway,
    patch_policy,
    policies,
    routes,
    security_policy,
    traffic_policy,
)
from shared.api.base import Object
from shared.api.extension_object import ExtensionObject, extension_object
from shared.api.gateway import ParentReference
from shared.api.targets import PolicyObject
from shared.core.kinds import CERTIFICATES
from shared.core.refs import ObjectRef

MCS_GROUP = "multicluster.x-k8s.io"

KINDS: dict[tuple[str, str], type[Object]] = {
    ("", "Namespace"): core.Namespace,
    ("", "Service"): core.Service,
    ("", "Secret"): core.Secret,
    ("", "ConfigMap"): core.ConfigMap,
    ("discovery.k8s.io", "EndpointSlice"): core.EndpointSlice,
    (CERTIFICATES, "ClusterTrustBundle"): core.ClusterTrustBundle,
    (MCS_GROUP, "ServiceImport"): core.ServiceImport,
    (gateway.GROUP, "GatewayClass"): gateway.GatewayClass,
    (gateway.GROUP, "Gateway"): gateway.Gateway,
    (gateway.GROUP, "ListenerSet"): gateway.ListenerSet,
    (gateway.GROUP, "BackendTLSPolicy"): policies.BackendTlsPolicy,
    (gateway.GROUP, "ReferenceGrant"): gateway.ReferenceGrant,
    (gateway.GROUP, "HTTPRoute"): routes.HttpRoute,
    (gateway.GROUP, "GRPCRoute"): routes.GrpcRoute,
    (envoy.GROUP, "EnvoyProxy"): envoy.EnvoyProxy,
    (envoy.GROUP, "Backend"): envoy.Backend,
    (envoy.GROUP, "HTTPRouteFilter"): routes.HttpRouteFilterObject,
    **{(gateway.GROUP, kind): routes.StreamRoute for kind in ("TLSRoute", "TCPRoute", "UDPRoute")},
    (envoy.GROUP, "ClientTrafficPolicy"): client_policy.ClientTrafficPolicy,
    (envoy.GROUP, "EnvoyPatchPolicy"): patch_policy.EnvoyPatchPolicy,
    (envoy.GROUP, "EnvoyExtensionPolicy"): extension_policy.EnvoyExtensionPolicy,
    (envoy.GROUP, "SecurityPolicy"): security_policy.SecurityPolicy,
    (envoy.GROUP, "BackendTrafficPolicy"): traffic_policy.BackendTrafficPolicy,
}

_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


class Invalid(msgspec.Struct, frozen=True):
    """An object that could not be parsed: why, and as much of it as a condition needs."""

    message: str
    generation: int = 0
    parent_refs: tuple[ParentReference, ...] = ()
    target_refs: tuple[ParentReference, ...] = ()


def parse(ref: ObjectRef, data: bytes | str | Mapping[str, Any]) -> Object | Invalid | None:
    """The row of one object; None for a kind that nothing here reads."""
    kind = KINDS.get((ref.group, ref.kind))
    if kind is None:
        return None
    try:
        raw = msgspec.json.decode(data) if isinstance(data, (bytes, str)) else data
    except msgspec.DecodeError as e:
        return Invalid(message=f"not JSON: {e}")
    raw = _pruned(raw)
    if not isinstance(raw, dict):
        return Invalid(message="not an object")
    try:
        return msgspec.convert(_prepared(kind, raw), kind)
    except msgspec.ValidationError as e:
        spec = raw.get("spec")
        spec = spec if isinstance(spec, dict) else {}
        generation = raw.get("metadata", {}).get("generation", 0) if isinstance(raw.get("metadata"), dict) else 0
        return Invalid(
            message=str(e).replace("`$.", "`"),
            generation=generation if isinstance(generation, int) else 0,
            parent_refs=_references(spec.get("parentRefs")),
            target_refs=_targets(spec),
        )


def parse_extension(data: bytes | str | Mapping[str, Any], *, policy: bool) -> ExtensionObject | Invalid:
    """The row of an object of an extension server's kind, taken as it is: nulls and unknown fields are its server's business."""
    try:
        raw = msgspec.json.decode(data) if isinstance(data, (bytes, str)) else data
        if not isinstance(raw, Mapping):
            return Invalid(message="not an object")
        return extension_object(raw, policy=policy)
    except msgspec.MsgspecError as e:
        return Invalid(message=str(e))


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _pruned(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_pruned(v) for v in value]
    return value


def _references(value: Any) -> tuple[ParentReference, ...]:
    found = []
    for each in value if isinstance(value, list) else ():
        try:
            found.append(msgspec.convert(each, ParentReference))
        except msgspec.ValidationError:
            continue
    return tuple(found)


def _targets(spec: Mapping[str, Any]) -> tuple[ParentReference, ...]:
    return _references([spec["targetRef"]] if "targetRef" in spec else None) + _references(spec.get("targetRefs"))


def _envoy_proxy(raw: dict[str, Any]) -> dict[str, Any]:
    """Keeps the object as written beside what translation reads of it."""
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        return raw
    metadata = {k: v for k, v in metadata.items() if k not in _SERVER_FIELDS}
    written = {k: v for k, v in raw.items() if k not in ("status", "metadata")} | {"metadata": metadata}
    return {**raw, "raw": written}


def _secret(raw: dict[str, Any]) -> dict[str, Any]:
    """As the API server: stringData goes over data."""
    data, text = raw.get("data", {}), raw.get("stringData", {})
    return {**raw, "data": {**data, **text}} if isinstance(data, dict) and isinstance(text, dict) else raw


def _policy(raw: dict[str, Any]) -> dict[str, Any]:
    spec, metadata = raw.get("spec"), raw.get("metadata")
    uid = metadata.get("uid", "") if isinstance(metadata, dict) else ""
    return {**raw, "written": spec if isinstance(spec, dict) else {}, "uid": uid}


def _prepared(kind: type[Object], raw: dict[str, Any]) -> dict[str, Any]:
    prepare = _policy if issubclass(kind, PolicyObject) else _PREPARE.get(kind, dict)
    return prepare(raw)


_PREPARE: dict[type[Object], Callable[[dict[str, Any]], dict[str, Any]]] = {
    envoy.EnvoyProxy: _envoy_proxy,
    core.Secret: _secret,
}
