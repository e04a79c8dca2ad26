"""Matches of strings as Envoy Gateway's policies write them, for every feature that has some."""

from __future__ import annotations

from typing import Literal

from shared.api.base import Spec
from shared.ir.match import StringMatch


class StringMatchSpec(Spec, frozen=True):
    value: str
    type: Literal["Exact", "Prefix", "Suffix", "RegularExpression"] = "Exact"


def string_match(spec: StringMatchSpec, name: str = "") -> StringMatch:
    """`name`: of the header, parameter or cookie whose value is matched, where there is one."""
    value = spec.value
    if spec.type == "Prefix":
        return StringMatch(name=name, prefix=value)
    if spec.type == "Suffix":
        return StringMatch(name=name, suffix=value)
    if spec.type == "RegularExpression":
        return StringMatch(name=name, safe_regex=value)
    return StringMatch(name=name, exact=value)
