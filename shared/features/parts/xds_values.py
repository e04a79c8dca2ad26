"""Small values that many parts of Envoy's configuration are made of, as message fields (see shared/xds/message.py)."""

from __future__ import annotations

from collections.abc import Iterable

from shared.core import durations
from shared.ir.match import AddHeader, StringMatch
from shared.ir.metadata import ResourceMetadata
from shared.xds.message import Fields, struct

_NANOS = 10**9

MATCHERS = ("exact", "prefix", "suffix", "safe_regex")


class Unrenderable(ValueError):
    """A piece of IR that no Envoy configuration can stand for; the text says why, for the condition of the object it came from."""


def nanoseconds(text: str) -> int:
    """A Go duration ("1h30m", "250ms", "0s") in nanoseconds; Unrenderable for anything else."""
    try:
        return durations.parse(text)
    except ValueError as e:
        raise Unrenderable(str(e)) from e


def duration(text: str) -> Fields:
    """google.protobuf.Duration of a Go duration."""
    seconds, nanos = divmod(nanoseconds(text), _NANOS)
    return {"seconds": seconds, "nanos": nanos}


def wrapped(value: float | bool) -> Fields:
    """One of google.protobuf's wrappers (UInt32Value, BoolValue …)."""
    return {"value": value}


def regex(pattern: str) -> Fields:
    return {"regex": pattern}


def string_matcher(match: StringMatch) -> Fields:
    """StringMatcher of the one way of matching that is set; none matches nothing and is empty."""
    for kind in MATCHERS:
        value = getattr(match, kind)
        if value is not None:
            return {kind: regex(value) if kind == "safe_regex" else value}
    return {}


def header_options(headers: Iterable[AddHeader]) -> list[Fields]:
    """HeaderValueOption per value; an empty value is kept, as Gateway API lets it be set."""
    out: list[Fields] = []
    for header in headers:
        action = "ADD_IF_ABSENT" if header.add_if_absent else "APPEND_IF_EXISTS_OR_ADD" if header.append else "OVERWRITE_IF_EXISTS_OR_ADD"
        for value in header.value or ("",):
            option: Fields = {"header": {"key": header.name, "value": value}, "append_action": action}
            if not value:
                option["keep_empty_value"] = True
            out.append(option)
    return out


def percent(value: float) -> Fields:
    """FractionalPercent of a percentage, to a ten-thousandth of a percent."""
    return {"numerator": round(value * 10_000), "denominator": "MILLION"}


def config_source() -> Fields:
    """Where Envoy gets a resource named here: from ADS. These bytes must never change, or Envoy re-creates what holds them."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": {}}


def metadata(of: ResourceMetadata | None) -> Fields | None:
    """core.v3.Metadata under `envoy-gateway`: the object that a piece of configuration came from, and its policies."""
    if of is None:
        return None
    resource: dict[str, object] = {"kind": of.kind, "name": of.name, "namespace": of.namespace}
    if of.annotations:
        resource["annotations"] = {e.key: e.value for e in of.annotations}
    if of.section_name:
        resource["sectionName"] = of.section_name
    about: dict[str, object] = {"resources": [resource]}
    if of.policies:
        about["policies"] = [{"kind": p.kind, "name": p.name, "namespace": p.namespace} for p in of.policies]
    return {"filter_metadata": {"envoy-gateway": struct(about)}}


def given(fields: Fields) -> Fields:
    """Without the fields that are None: a message leaves out what it does not have."""
    return {k: v for k, v in fields.items() if v is not None}
