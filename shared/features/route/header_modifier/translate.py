"""Header edits: valid ones are kept, the first of each name wins, invalid ones are named in a condition."""

from __future__ import annotations

import re

from msgspec.structs import replace

from shared.features.parts.filters import Filters
from shared.features.parts.problem import Problem, not_accepted
from shared.features.route.header_modifier.ir import HeaderEdits
from shared.features.route.header_modifier.spec import HttpHeader, HttpHeaderFilter
from shared.ir.match import AddHeader

_VALUE = re.compile(r"[!-~]+([\t ]?[!-~]+)*")


def _fault(kind: str, verb: str, name: str) -> str | None:
    if not name:
        return f"{kind} Filter cannot {verb} a header with an empty name"
    if "/" in name or ":" in name or name.lower() == "host":
        return f"Header: {name!r}. The {kind} filter cannot {verb} the Host header or headers with a '/' or ':' character in them."
    return None


def edits(kind: str, spec: HttpHeaderFilter, before: HeaderEdits) -> tuple[HeaderEdits, Problem | None]:
    """The edits of one filter after those of the filters before it; `kind` names the filter in messages."""
    add, remove = list(before.add), list(before.remove)
    faults: list[str] = []

    def put(header: HttpHeader, verb: str) -> None:
        fault = _fault(kind, verb, header.name)
        if fault is None and not _VALUE.fullmatch(header.value):
            fault = f"Header: {header.name!r}. {kind} Filter cannot {verb} a header with an invalid value."
        if fault is not None:
            faults.append(fault)
        elif all(h.name.lower() != header.name.lower() for h in add):
            add.append(AddHeader(name=header.name, value=(header.value,), append=verb == "add"))

    for header in spec.add:
        put(header, "add")
    for header in spec.set:
        put(header, "set")
    for name in spec.remove:
        if fault := _fault(kind, "remove", name):
            faults.append(fault)
        elif all(h.lower() != name.lower() for h in remove):
            remove.append(name)
    after = HeaderEdits(add=tuple(add), remove=tuple(remove))
    if (spec.add or spec.set or spec.remove) and not add and not remove:
        return after, not_accepted(f"{kind} Filter did not provide valid configuration to add/set/remove any headers")
    return after, not_accepted("\n".join(faults)) if faults else None


def request(spec: HttpHeaderFilter, before: Filters) -> Filters:
    after, problem = edits("RequestHeaderModifier", spec, HeaderEdits(add=before.add_request_headers, remove=before.remove_request_headers))
    result = replace(before, add_request_headers=after.add, remove_request_headers=after.remove)
    return result.failed(problem) if problem else result


def response(spec: HttpHeaderFilter, before: Filters) -> Filters:
    after, problem = edits(
        "ResponseHeaderModifier", spec, HeaderEdits(add=before.add_response_headers, remove=before.remove_response_headers)
    )
    result = replace(before, add_response_headers=after.add, remove_response_headers=after.remove)
    return result.failed(problem) if problem else result
