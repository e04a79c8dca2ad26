"""IR of a redirect; what is absent is taken from the request (Gateway API, HTTPRequestRedirectFilter)."""

from __future__ import annotations

from shared.features.route.url_rewrite.ir import PathModifier
from shared.ir.base import IR


class Redirect(IR, frozen=True):
    scheme: str | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: int | None = None
    status_code: int | None = None
