"""EnvoyProxy's `bootstrap`: a user's own bootstrap merged with, patched into, or put in place of ours; and what it must not touch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared.bootstrap.default import JSON, XDS_CLUSTER, Options, default
from shared.core import jsonpatch
from shared.xds.message import BadMessage, from_json, to_json

MESSAGE = "envoy.config.bootstrap.v3.Bootstrap"


class BadBootstrap(ValueError):
    """Says what is wrong with the user's part."""


def customise(base: JSON, custom: Mapping[str, Any] | None) -> JSON:
    """`base` with EnvoyProxy.spec.bootstrap ({type, value, jsonPatches}) applied; BadBootstrap."""
    if custom is None:
        return base
    kind = custom.get("type") or "Replace"
    if kind == "JSONPatch":
        return _patched(base, custom.get("jsonPatches") or ())
    value = custom.get("value")
    if value is None:
        return base
    parsed = _parse(value)
    if kind == "Replace":
        return parsed
    if kind == "Merge":
        return _merged(base, parsed)
    raise BadBootstrap(f"unsupported bootstrap patch type {kind}")


def validate(custom: Mapping[str, Any] | None) -> None:
    """BadBootstrap if the result is no bootstrap, or cuts Envoy off from us."""
    if custom is None:
        return
    base = default(Options())
    ours, theirs = _normal(base), _normal(customise(base, custom))
    if _without_timeouts(theirs.get("dynamicResources")) != _without_timeouts(ours["dynamicResources"]):
        raise BadBootstrap("dynamic_resources cannot be modified")
    if _xds_endpoints(theirs) != _xds_endpoints(ours):
        raise BadBootstrap("xds_cluster's loadAssignment cannot be modified")


def _parse(text: str) -> JSON:
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise BadBootstrap(f"unable to parse the bootstrap: {e}") from e
    if not isinstance(parsed, dict):
        raise BadBootstrap("the bootstrap is no YAML object")
    return parsed


def _patched(base: JSON, patches: Any) -> JSON:
    by_query = next((p for p in patches if p.get("jsonPath")), None)
    if by_query is not None:
        raise BadBootstrap("jsonPath is not supported in bootstrap patches; use path")
    try:
        patched = jsonpatch.apply(base, patches)
    except jsonpatch.PatchError as e:
        raise BadBootstrap(str(e)) from e
    if not isinstance(patched, dict):
        raise BadBootstrap("the patched bootstrap is no object")
    return patched


def _merged(base: JSON, override: JSON) -> JSON:
    """Protobuf's merge: messages field by field, lists appended."""
    message = _message(base)
    message.MergeFrom(_message(override))
    return to_json(message)


def _message(value: JSON) -> Any:
    try:
        return from_json(MESSAGE, value)
    except BadMessage as e:
        raise BadBootstrap(str(e)) from e


def _normal(value: JSON) -> JSON:
    return to_json(_message(value))


def _without_timeouts(dynamic: Any) -> Any:
    if not isinstance(dynamic, dict):
        return None
    return {k: {f: v for f, v in part.items() if f != "initialFetchTimeout"} for k, part in dynamic.items()}


def _xds_endpoints(bootstrap: JSON) -> Any:
    clusters = bootstrap.get("staticResources", {}).get("clusters", [])
    return next((c.get("loadAssignment") for c in clusters if c.get("name") == XDS_CLUSTER), None)
