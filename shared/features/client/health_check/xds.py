"""Health checks of a listener in Envoy: a filter that answers its path itself."""

from __future__ import annotations

from shared.features.client.health_check.ir import ClientHealthCheck
from shared.features.parts.xds_values import wrapped
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.health_check"


def http_filters(check: ClientHealthCheck | None) -> dict[str, Fields]:
    """Name -> HttpFilter."""
    if check is None:
        return {}
    config: Fields = {"pass_through_mode": wrapped(False), "headers": [{"name": ":path", "string_match": {"exact": check.path}}]}
    return {NAME: {"name": NAME, "typed_config": pack("envoy.extensions.filters.http.health_check.v3.HealthCheck", config)}}
