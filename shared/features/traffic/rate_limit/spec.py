"""Rate limits as a BackendTrafficPolicy writes them: counted by each proxy (local), or by one service for all of them (global)."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.api.base import Spec

HeaderOption = Literal["Off", "DraftVersion03"]
Unit = Literal["Second", "Minute", "Hour", "Day", "Week", "Month", "Year"]


class HeaderSelector(Spec, frozen=True):
    """`Distinct`: each value of the header is counted for itself."""

    name: str
    type: str | None = None
    value: str | None = None
    invert: bool = False


class MethodSelector(Spec, frozen=True):
    value: str
    invert: bool = False


class PathSelector(Spec, frozen=True):
    value: str
    type: str = "PathPrefix"
    invert: bool = False


class SourceSelector(Spec, frozen=True):
    value: str
    type: Literal["Exact", "Distinct"] = "Exact"
    invert: bool = False


class QuerySelector(Spec, frozen=True):
    name: str
    type: str = "Exact"
    value: str | None = None
    invert: bool = False


class ClientSelector(Spec, frozen=True):
    """All that is given must match."""

    headers: tuple[HeaderSelector, ...] = ()
    methods: tuple[MethodSelector, ...] = ()
    path: PathSelector | None = None
    source_cidr: SourceSelector | None = msgspec.field(default=None, name="sourceCIDR")
    query_params: tuple[QuerySelector, ...] = ()


class MetadataKey(Spec, frozen=True):
    """A value in a request's dynamic metadata."""

    namespace: str
    key: str


class LimitSpec(Spec, frozen=True):
    requests: int
    unit: Unit
    from_metadata: MetadataKey | None = None


class CostSpecifier(Spec, frozen=True):
    from_: Literal["Number", "Metadata"] = msgspec.field(name="from")
    number: int | None = None
    metadata: MetadataKey | None = None


class CostSpec(Spec, frozen=True):
    request: CostSpecifier | None = None
    response: CostSpecifier | None = None


class RateLimitRuleSpec(Spec, frozen=True):
    limit: LimitSpec
    client_selectors: tuple[ClientSelector, ...] = ()
    cost: CostSpec | None = None
    shared: bool | None = None
    shadow_mode: bool | None = None
    x_rate_limit_headers: HeaderOption | None = None


class RateLimitRules(Spec, frozen=True):
    rules: tuple[RateLimitRuleSpec, ...] = ()


class RateLimitSpec(Spec, frozen=True):
    """`type` is deprecated: it makes the other part count no more."""

    type: Literal["Global", "Local"] | None = None
    global_: RateLimitRules | None = msgspec.field(default=None, name="global")
    local: RateLimitRules | None = None
