"""Filters that stand on the listener once for each configuration, and stay off until a route switches them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.xds.message import Fields, pack

Pieces = Mapping[str, Mapping[str, Fields]]
"""Field of a filter -> entry there -> what one route or several put in."""
Shared = Mapping[str, Callable[[Any, Pieces, Any], Mapping[str, Fields | None]]]
"""Name of a filter that all routes of a listener share -> how the pieces become filters, by name: (listener, pieces, what the Gateway
has for all of its listeners). None for a filter that is not wanted after all."""
ON = pack("envoy.config.route.v3.FilterConfig", {"config": {}})
"""Switches a filter on for a route."""
PIECE = "|"
"""Between a filter's name, a map field of it, and the name of an entry there: what one route adds to a filter that all share."""


def off(name: str, config: str, fields: Fields) -> Fields:
    """HttpFilter that does nothing where no route asks for it; `config` is the full name of its message."""
    return {"name": name, "disabled": True, "typed_config": pack(config, fields)}


def piece(name: str, field: str, entry: str) -> str:
    return PIECE.join((name, field, entry))
