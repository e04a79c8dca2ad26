"""What the AI gateway counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)

REQUESTS = Counter("ai_gateway_requests_total", "Attempts at backends, by what they answered.", ["route", "backend", "model", "status"])
TOKENS = Counter(
    "ai_gateway_tokens_total", "Tokens that backends say they read (input) and wrote (output).", ["route", "backend", "model", "kind"]
)
FIRST = Histogram("ai_gateway_first_seconds", "Until a backend began to answer.", ["route", "backend"], buckets=_BUCKETS)
SECONDS = Histogram("ai_gateway_request_seconds", "Until a backend had answered.", ["route", "backend"], buckets=_BUCKETS)
LEFT_OUT = Counter(
    "ai_gateway_left_out_total", "Listeners ('': all of an object's) that began to be left out.", ["kind", "object", "listener", "reason"]
)
LEFT_OUT_NOW = Gauge("ai_gateway_left_out_now", "Listeners that are left out.", ["kind", "object", "listener", "route", "reason"])
INVALID = Gauge("ai_gateway_invalid", "Objects that cannot be used.", ["kind", "object"])
