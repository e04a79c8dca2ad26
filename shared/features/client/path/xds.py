"""What a listener does to paths, in Envoy: fields of the connection manager."""

from __future__ import annotations

from shared.features.client.path.ir import PathSettings
from shared.features.parts.xds_values import given, wrapped
from shared.xds.message import Fields

_ESCAPED = {
    "KeepUnchanged": "KEEP_UNCHANGED",
    "RejectRequest": "REJECT_REQUEST",
    "UnescapeAndForward": "UNESCAPE_AND_FORWARD",
    "UnescapeAndRedirect": "UNESCAPE_AND_REDIRECT",
}


def on_hcm(path: PathSettings | None) -> Fields:
    """Dot segments are always resolved, as RFC 3986 has it."""
    normalized: Fields = {"normalize_path": wrapped(True)}
    if path is None:
        return normalized
    return normalized | given(
        {"merge_slashes": path.merge_slashes, "path_with_escaped_slashes_action": _ESCAPED.get(path.escaped_slashes_action)}
    )
