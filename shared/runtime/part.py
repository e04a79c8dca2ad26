"""Base of the static configuration's sections: an unknown field is an error, so that a typing mistake is told and not ignored."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One section; field names are Envoy Gateway's."""
