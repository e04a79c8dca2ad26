"""Hostnames: which of a route's names a listener takes."""

from __future__ import annotations

from collections.abc import Iterable


def wildcard_matches(wildcard: str, hostname: str) -> bool:
    """Whether `*.com` covers a name: any number of labels deep, itself never (Gateway API, not RFC 2818)."""
    suffix = wildcard.removeprefix("*")
    if not hostname.startswith("*"):
        return hostname.endswith(suffix) and len(hostname) > len(suffix)
    rest = hostname.removeprefix("*")
    if not rest.endswith(suffix):
        return False
    remaining = rest[: len(rest) - len(suffix)] if suffix else rest
    return remaining.startswith(".")


def _intersection(listener: str, route: str) -> str | None:
    if not listener or listener == route:
        return route
    if listener.startswith("*") and wildcard_matches(listener, route):
        return route
    if route.startswith("*") and wildcard_matches(route, listener):
        return listener
    return None


def effective_hosts(route: tuple[str, ...], listener: str | None, others: Iterable[str | None]) -> tuple[str, ...]:
    """The names that a route serves on a listener, sorted; `others` are the hostnames of the port's other listeners,
    which take precedence for exactly their own name. Empty: nothing in common."""
    if not route:
        return (listener or "*",)
    found = {host for each in route if (host := _intersection(listener or "", each)) is not None}
    return tuple(sorted(found - {o for o in others if o is not None}))
