"""RequestRedirect as the Gateway API writes it."""

from __future__ import annotations

from shared.api.base import Spec


class PathModifierSpec(Spec, frozen=True):
    type: str
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class RequestRedirectSpec(Spec, frozen=True):
    scheme: str | None = None
    hostname: str | None = None
    path: PathModifierSpec | None = None
    port: int | None = None
    status_code: int | None = None
