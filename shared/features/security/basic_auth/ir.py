"""IR of basic authentication."""

from __future__ import annotations

from shared.ir.base import IR


class BasicAuth(IR, frozen=True):
    """`users` is a htpasswd file, sealed; opened by xds_server alone."""

    name: str
    users: str = ""
    forward_username_header: str | None = None
