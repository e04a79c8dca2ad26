"""IR of authentication by API keys."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR


class ApiKey(IR, frozen=True):
    """`client` is base64 of its name; `key` is sealed, opened by xds_server alone."""

    client: str
    key: str = ""


class KeyPlaces(IR, frozen=True):
    """Where a key may stand in a request."""

    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


class ApiKeyAuth(IR, frozen=True):
    credentials: tuple[ApiKey, ...] = ()
    extract_from: tuple[KeyPlaces, ...] = ()
    forward_client_id_header: str | None = msgspec.field(default=None, name="forwardClientIDHeader")
    sanitize: bool | None = None
