"""A route has one timeout: the backend's where nothing is retried, else the request's (then the backend's bounds each try)."""

from __future__ import annotations

from shared.core import durations
from shared.features.route.timeouts.spec import TimeoutsSpec

_DEFAULT = "15s"


def _normal(text: str) -> str:
    try:
        return durations.normal(text)
    except ValueError:
        return _DEFAULT


def timeout(spec: TimeoutsSpec | None, retries: bool) -> str | None:
    """A Go duration."""
    if spec is None:
        return None
    if spec.backend_request is not None and not retries:
        return _normal(spec.backend_request)
    return _normal(spec.request) if spec.request is not None else None
