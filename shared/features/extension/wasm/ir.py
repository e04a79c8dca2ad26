"""IR of a Wasm extension. The module is served by the control plane, which has fetched it from where the user said."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.ir.base import IR


class WasmCode(IR, frozen=True):
    serving_url: str = msgspec.field(default="", name="servingURL")
    original_url: str = msgspec.field(default="", name="originalDownloadingURL")
    sha256: str = ""


class Wasm(IR, frozen=True):
    """`config` is any JSON; `host_keys` name variables of the proxy's environment that the module may see."""

    name: str
    wasm_name: str = ""
    root_id: str | None = msgspec.field(default=None, name="rootID")
    config: Any = None
    fail_open: bool = False
    code: WasmCode | None = msgspec.field(default=None, name="httpWasmCode")
    host_keys: tuple[str, ...] = ()
