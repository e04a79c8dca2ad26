"""Traffic that stays in its zone: said of a backend and of a load balancer, so it stands apart from both."""

from __future__ import annotations

from shared.ir.base import IR


class ForceLocal(IR, frozen=True):
    """Stay in the zone as soon as it has that many endpoints."""

    min_endpoints_in_zone_threshold: int | None = None


class PreferLocal(IR, frozen=True):
    """Zone-aware routing: from how many endpoints on, for which share of the requests, and whether to insist."""

    min_endpoints_threshold: int | None = None
    percentage_enabled: int | None = None
    force: ForceLocal | None = None
