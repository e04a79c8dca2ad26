"""Rate limits as IR, with Envoy Gateway's field names."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR
from shared.ir.match import StringMatch


class CidrMatch(IR, frozen=True):
    """`distinct`: each address is counted for itself. `invert`: everybody outside."""

    cidr: str
    mask_len: int
    is_ipv6: bool = msgspec.field(default=False, name="isIPv6")
    distinct: bool = False
    invert: bool = False


class MetadataValue(IR, frozen=True):
    namespace: str
    key: str


class RateLimitValue(IR, frozen=True):
    """So many requests in a Second, Minute, Hour …; `from_metadata` goes before where the request has it."""

    requests: int = 0
    unit: str = ""
    from_metadata: MetadataValue | None = None


class RateLimitCost(IR, frozen=True):
    """What one request counts: a number, or Envoy's format string for one."""

    number: int | None = None
    format: str | None = None


class RateLimitRule(IR, frozen=True):
    """`name` is `<policy's namespace>/<policy>/rule/<number>`. `shared`: one counter for all routes of the policy."""

    name: str = ""
    header_matches: tuple[StringMatch, ...] = ()
    path_match: StringMatch | None = None
    method_matches: tuple[StringMatch, ...] = ()
    cidr_match: CidrMatch | None = None
    query_param_matches: tuple[StringMatch, ...] = ()
    limit: RateLimitValue = RateLimitValue()
    request_cost: RateLimitCost | None = None
    response_cost: RateLimitCost | None = None
    shared: bool | None = None
    shadow_mode: bool | None = None
    x_rate_limit_option: str | None = None

    @property
    def matches(self) -> bool:
        """Whether it says anything of whom it counts."""
        return bool(self.header_matches or self.path_match or self.method_matches or self.cidr_match or self.query_param_matches)


class GlobalRateLimit(IR, frozen=True):
    rules: tuple[RateLimitRule, ...] = ()


class LocalRateLimit(IR, frozen=True):
    """`default` counts whatever no rule matches."""

    default: RateLimitValue = RateLimitValue()
    rules: tuple[RateLimitRule, ...] = ()
    default_x_rate_limit_option: str | None = msgspec.field(default=None, name="defaultXRateLimitOption")


class RateLimit(IR, frozen=True):
    global_: GlobalRateLimit | None = msgspec.field(default=None, name="global")
    local: LocalRateLimit | None = None


class RateLimitService(IR, frozen=True):
    """The service that counts for all proxies, as they reach it. `timeout` is a Go duration; `fail_closed`: without it nobody passes.

    `tls`: both sides show certificates of the control plane's own authority.
    """

    host: str
    port: int
    timeout: str | None = None
    fail_closed: bool = False
    tls: bool = True
