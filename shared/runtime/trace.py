"""W3C trace context, so that one edit can be followed through all four services' logs and message headers."""

from __future__ import annotations

import os
from collections.abc import Mapping

import structlog

HEADER = "traceparent"


def new() -> str:
    """A fresh `traceparent` value (W3C Trace Context, version 00, sampled)."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def child(parent: str | None) -> str:
    """The same trace, a new span; a new trace for none or a malformed parent."""
    parts = (parent or "").split("-")
    if len(parts) != 4 or len(parts[1]) != 32:
        return new()
    return f"00-{parts[1]}-{os.urandom(8).hex()}-{parts[3]}"


def trace_id(traceparent: str) -> str:
    return traceparent.split("-")[1] if traceparent.count("-") == 3 else ""


def follow(headers: Mapping[str, str] | None) -> str:
    """Continues the trace that a message carries, and binds its id to the log lines that follow in this task."""
    traceparent = child((headers or {}).get(HEADER))
    structlog.contextvars.bind_contextvars(trace=trace_id(traceparent))
    return traceparent
