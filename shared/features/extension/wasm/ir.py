"""IR of a Wasm extension. The module is served by the control plane, which has fetched it from where the user said."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.ir.base import IR


class WasmCode(IR, frozen=True):
    serving_url: str = msgspec.field(default="", name="servingURL")
    original_url: str = msgspec.field(default="", name="originalDownloadingURL")
    sha256: str = ""


class ModuleService(IR, frozen=True):
    """Where proxies get modules: the control plane. `tls`: both sides show certificates of its own authority, which is `authority`
    (base64 of PEM) where proxies do not have it as a file."""

    host: str
    port: int
    tls: bool = True
    authority: str | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


class Wasm(IR, frozen=True):
    """`config` is any JSON; `host_keys` name variables of the proxy's environment that the module may see."""

    name: str
    wasm_name: str = ""
    root_id: str | None = msgspec.field(default=None, name="rootID")
    config: Any = None
    fail_open: bool = False
    code: WasmCode | None = msgspec.field(default=None, name="httpWasmCode")
    host_keys: tuple[str, ...] = ()
