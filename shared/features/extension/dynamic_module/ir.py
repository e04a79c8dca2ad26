"""IR of a dynamic module: a shared library that the proxy loads from its disk or from a URL."""

from __future__ import annotations

from typing import Any

from shared.ir.base import IR


class RemoteModule(IR, frozen=True):
    url: str
    sha256: str = ""


class DynamicModule(IR, frozen=True):
    """One of `path` and `remote`; `config` is any JSON."""

    name: str
    filter_name: str = ""
    path: str = ""
    remote: RemoteModule | None = None
    config: Any = None
    do_not_close: bool = False
    load_globally: bool = False
    terminal_filter: bool = False
