"""API keys as Envoy Gateway's SecurityPolicy writes them."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference


class KeyPlacesSpec(Spec, frozen=True):
    """One of these."""

    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


class ApiKeyAuthSpec(Spec, frozen=True):
    """The keys of a Secret's data are clients, the values their API keys."""

    credential_refs: tuple[SecretObjectReference, ...] = ()
    extract_from: tuple[KeyPlacesSpec, ...] = ()
    forward_client_id_header: str | None = msgspec.field(default=None, name="forwardClientIDHeader")
    sanitize: bool | None = None
