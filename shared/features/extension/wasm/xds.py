"""Wasm extensions in Envoy: a filter for each on the listener, off until a route asks for it. The control plane serves the modules."""

from __future__ import annotations

from shared.features.extension.wasm.ir import Wasm
from shared.features.parts.external import TIMEOUT, http_uri
from shared.features.parts.per_route import ON, off
from shared.features.parts.xds_values import Unrenderable, duration, given, wrapped
from shared.ir.base import encode
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.wasm"
CLUSTER = "wasm_cluster"
"""The control plane, which serves modules."""
# a module may take the control plane some time to fetch; Envoy's own patience is a second
_PATIENCE: Fields = {"num_retries": wrapped(10), "retry_back_off": {"base_interval": duration("1s"), "max_interval": duration("30s")}}


def _name(of: Wasm) -> str:
    return f"{NAME}/{of.name}"


def _filter(of: Wasm) -> Fields:
    if of.code is None:
        raise Unrenderable(f"wasm {of.name} has no module")
    remote: Fields = {
        "http_uri": http_uri(of.code.serving_url, CLUSTER, TIMEOUT),
        "sha256": of.code.sha256,
        "retry_policy": _PATIENCE,
    }
    machine: Fields = {
        # filters share no machine; and while Envoy has not fetched a module yet, it tells machines apart by this alone: a new module
        # would run in the machine of the old one
        "vm_id": f"{of.name}/{of.code.sha256}",
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"remote": remote},
        "environment_variables": {"host_env_keys": list(of.host_keys)} if of.host_keys else None,
    }
    config: Fields = {
        "name": of.wasm_name,
        "root_id": of.root_id,
        "vm_config": given(machine),
        "configuration": pack("google.protobuf.StringValue", {"value": encode(of.config).decode() if of.config is not None else ""}),
        "fail_open": of.fail_open,
    }
    return off(_name(of), "envoy.extensions.filters.http.wasm.v3.Wasm", {"config": given(config)})


def _of(route: HttpRoute) -> tuple[Wasm, ...]:
    return route.envoy_extensions.wasms if route.envoy_extensions is not None else ()


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {_name(of): _filter(of) for of in _of(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: switches them on."""
    return {_name(of): ON for of in _of(route)}
