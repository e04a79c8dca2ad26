"""Structured logs: one line an event, JSON for machines or text for a terminal, with the trace id of the change being handled."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from shared.runtime.config import Logging

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
# Envoy Gateway's component names for what are our services
COMPONENTS = {
    "resource-watcher": "provider",
    "translator": "gateway-api",
    "xds-server": "xds-server",
    "infra-manager": "infrastructure",
}
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last guard: a private key that reached a log line by mistake is not printed."""
    for key, value in event.items():
        if isinstance(value, str) and "PRIVATE KEY" in value:
            event[key] = _KEY_BLOCK.sub("[redacted private key]", value)
    return event


def configure(service: str, config: Logging, *, stream: Any = None) -> None:
    """Sets up structlog for this process. Encoder: as configured, else text on a terminal and JSON elsewhere."""
    out = stream or sys.stderr
    level = config.level.get(COMPONENTS.get(service, service)) or config.level.get("default", "info")
    encoder = config.encoder or ("Text" if out.isatty() else "JSON")
    renderer: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if encoder == "Text" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(name)s: %(message)s", force=True)
