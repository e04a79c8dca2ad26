"""What Envoy would refuse in a rendered part: its messages' own rules, and what it looks at besides them."""

from __future__ import annotations

from typing import Any

from shared.features.parts.formats import format_fault
from shared.features.parts.regex import regex_fault
from shared.xds.message import Fields, build, decode
from shared.xds.validation import Check, faults


def _regex(matcher: Any) -> str | None:
    return regex_fault(matcher.regex) if matcher.regex else "an empty regex"


def _header(option: Any) -> str | None:
    return format_fault(option.header.value)


def _format(source: Any) -> str | None:
    text = source.text_format_source
    return format_fault(source.text_format or text.inline_string or text.inline_bytes.decode(errors="replace"))


def _back_off(policy: Any) -> str | None:
    longest, base = policy.max_interval, policy.base_interval
    if policy.HasField("max_interval") and (longest.seconds, longest.nanos) < (base.seconds, base.nanos):
        return "the longest interval is shorter than the base interval"
    return None


def _spans(tracing: Any) -> str | None:
    return format_fault(tracing.operation) or format_fault(tracing.upstream_operation)


def _tag(tag: Any) -> str | None:
    return format_fault(tag.value)


EXTRA: dict[str, Check] = {
    "envoy.type.matcher.v3.RegexMatcher": _regex,
    "xds.type.matcher.v3.RegexMatcher": _regex,
    "envoy.config.route.v3.Tracing": _spans,
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing": _spans,
    "envoy.type.tracing.v3.CustomTag": _tag,
    "envoy.config.core.v3.HeaderValueOption": _header,
    "envoy.config.core.v3.SubstitutionFormatString": _format,
    "envoy.config.route.v3.RetryPolicy.RetryBackOff": _back_off,
}


def fault(name: str, fields: Fields) -> str | None:
    """The first thing that Envoy would refuse in a message of that name; None if nothing."""
    return next(faults(build(name, fields), EXTRA), None)


def found(name: str, data: bytes) -> str | None:
    """As `fault`, of a message that is serialised already."""
    return next(faults(decode(name, data), EXTRA), None)


def checked(name: str, fields: Fields, validate: bool = True) -> tuple[bytes, str | None]:
    """The message's bytes, and what Envoy would refuse in it."""
    message = build(name, fields)
    return message.SerializeToString(deterministic=True), next(faults(message, EXTRA), None) if validate else None
