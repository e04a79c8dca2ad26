"""The scheme that backends see, in Envoy: the client's, or the one by which they are reached."""

from __future__ import annotations

from shared.xds.message import Fields


def on_hcm(match_backend: bool) -> Fields:
    return {"scheme_header_transformation": {"match_upstream": True}} if match_backend else {}
