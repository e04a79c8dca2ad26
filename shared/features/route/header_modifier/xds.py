"""Header edits in Envoy: the same four fields stand on a Route and on one backend's share of a weighted route."""

from __future__ import annotations

from shared.features.parts.xds_values import header_options
from shared.ir.destination import BackendFilters
from shared.ir.http import HttpRoute
from shared.xds.message import Fields


def on_route(of: HttpRoute | BackendFilters) -> Fields:
    """Fields that the edits add to a Route or to a ClusterWeight."""
    edits = {
        "request_headers_to_add": header_options(of.add_request_headers),
        "request_headers_to_remove": list(of.remove_request_headers),
        "response_headers_to_add": header_options(of.add_response_headers),
        "response_headers_to_remove": list(of.remove_response_headers),
    }
    return {name: value for name, value in edits.items() if value}
