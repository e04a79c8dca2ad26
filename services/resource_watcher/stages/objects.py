"""A parsed document to an identified object, and an identified object to what the bus may see. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from shared.core.kinds import KINDS, Kinds
from shared.core.refs import ObjectRef

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
DEFAULT_NAMESPACE = "default"

_encoder = msgspec.json.Encoder(order="deterministic")


class ObjectError(ValueError):
    """Why something is no object that Headgate can take; names the field."""


class Identified(NamedTuple):
    ref: ObjectRef
    object: dict[str, Any]


def identify(raw: dict[str, Any], kinds: Kinds = KINDS) -> Identified:
    """The object's identity, with the default namespace filled in as Kubernetes would. Raises ObjectError."""
    api_version, kind = raw.get("apiVersion"), raw.get("kind")
    if not isinstance(api_version, str) or not api_version:
        raise ObjectError("apiVersion: expected text such as gateway.networking.k8s.io/v1")
    if not isinstance(kind, str) or not kind:
        raise ObjectError("kind: expected text such as HTTPRoute")
    group = api_version.rpartition("/")[0]
    info = kinds.get((group, kind))
    if info is None:
        near = sorted(g for g, k in kinds if k == kind)
        hint = f"; {kind} is known in {near[0] or 'the core group (apiVersion: v1)'}" if near else ""
        raise ObjectError(f"kind: {kind} of {api_version} is not known to Headgate{hint}")
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        raise ObjectError("metadata: expected an object with a name")
    name = metadata.get("name")
    if not isinstance(name, str) or not _NAME.match(name) or len(name) > 253:
        raise ObjectError(f"metadata.name: expected lower-case letters, digits, '-' and '.', got {name!r}")
    namespace = metadata.get("namespace") or ""
    if not isinstance(namespace, str) or (namespace and not _NAME.match(namespace)):
        raise ObjectError(f"metadata.namespace: expected lower-case letters, digits and '-', got {namespace!r}")
    namespace = (namespace or DEFAULT_NAMESPACE) if info.namespaced else ""
    if namespace != metadata.get("namespace", ""):
        raw = {**raw, "metadata": {**metadata, "namespace": namespace}}
    return Identified(ObjectRef(group, kind, namespace, name), raw)


_SECRET_FIELDS = ("apiVersion", "kind", "metadata", "type", "immutable")
Seal = Callable[[bytes], str]


def prepare(ref: ObjectRef, raw: Mapping[str, Any], seal: Seal) -> bytes:
    """The object's canonical JSON without status and managedFields; a Secret's values sealed. Raises ObjectError."""
    metadata = {k: v for k, v in raw["metadata"].items() if k not in ("managedFields", "resourceVersion")}
    out = {k: v for k, v in raw.items() if k != "status"}
    out["metadata"] = metadata
    if (ref.group, ref.kind) == ("", "Secret"):
        out = {k: v for k, v in out.items() if k in _SECRET_FIELDS}  # a value under a misspelled field would be in clear
        out["data"] = _sealed(raw, seal)
        # kubectl keeps a whole former object here, secret values and all
        annotations = {
            k: v for k, v in (metadata.get("annotations") or {}).items() if k != "kubectl.kubernetes.io/last-applied-configuration"
        }
        if "annotations" in metadata:
            metadata["annotations"] = annotations
    try:
        return _encoder.encode(out)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as e:
        raise ObjectError(f"cannot be written as JSON: {e}") from e


def _sealed(raw: Mapping[str, Any], seal: Seal) -> dict[str, str]:
    values: dict[str, bytes] = {}
    data, text = raw.get("data") or {}, raw.get("stringData") or {}
    if not isinstance(data, dict) or not isinstance(text, dict):
        raise ObjectError("data: expected an object of base64 texts")
    for key, value in data.items():
        try:
            values[str(key)] = base64.b64decode("".join(str(value).split()), validate=True)
        except ValueError as e:
            raise ObjectError(f"data.{key}: expected base64") from e
    for key, value in text.items():
        if not isinstance(value, str):
            raise ObjectError(f"stringData.{key}: expected text")
        values[str(key)] = value.encode()
    return {key: seal(value) for key, value in sorted(values.items())}
