"""RequestHeaderModifier and ResponseHeaderModifier as the Gateway API writes them."""

from __future__ import annotations

from shared.features.parts.header_spec import HttpHeader, HttpHeaderFilter

__all__ = ["HttpHeader", "HttpHeaderFilter"]
