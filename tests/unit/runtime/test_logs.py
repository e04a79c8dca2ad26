"""Logs are lines of JSON off a terminal, and never hold a private key."""

from __future__ import annotations

import io
import json

import structlog

from shared.runtime import logs, trace
from shared.runtime.config import Logging


def test_a_private_key_that_reaches_a_log_line_is_not_printed() -> None:
    stream = io.StringIO()
    logs.configure("translator", Logging(), stream=stream)
    structlog.get_logger().info("oops", secret="x -----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- y")
    line = json.loads(stream.getvalue())
    assert line["secret"] == "x [redacted private key] y"
    assert line["service"] == "translator"


def test_levels_go_by_envoy_gateways_component_names() -> None:
    stream = io.StringIO()
    logs.configure("xds-server", Logging(level={"default": "info", "xds-server": "error"}), stream=stream)
    structlog.get_logger().info("unseen")
    structlog.get_logger().error("seen")
    assert json.loads(stream.getvalue())["event"] == "seen"


def test_a_trace_is_continued_and_a_broken_one_begun_anew() -> None:
    first = trace.new()
    assert trace.trace_id(trace.child(first)) == trace.trace_id(first)
    assert trace.child(first) != first
    assert len(trace.trace_id(trace.child("garbage"))) == 32
