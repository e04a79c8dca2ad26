"""Wasm extensions: nothing fetches their modules yet, so none can be had; how a policy is refused is the same as it will be."""

from __future__ import annotations

from shared.features.extension.wasm.ir import Wasm
from shared.features.extension.wasm.spec import WasmSpec
from shared.features.parts.policy_lookup import Fault


def translate(spec: WasmSpec) -> Wasm:
    """Raises Fault."""
    source = spec.code.http if spec.code.type == "HTTP" else spec.code.image
    url = source.url if source is not None else ""
    raise Fault(f"Wasm extensions are not supported yet: the module {url} cannot be fetched")
