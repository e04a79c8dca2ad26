"""A proxy's own answer: status 200 where none is given; its headers are response header edits."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.parts.filters import Filters, Lookup
from shared.features.parts.problem import Problem, not_accepted
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.direct_response.spec import DirectResponseSpec
from shared.ir.match import AddHeader


def apply(spec: DirectResponseSpec, before: Filters, lookup: Lookup) -> Filters:
    body = ""
    if spec.body is not None:
        body, problem = lookup.body(spec.body)
        if problem is not None:
            return before.refused(_named(problem))
    headers = list(before.add_response_headers)
    if spec.content_type is not None:
        headers.append(AddHeader(name="Content-Type", value=(spec.content_type,)))
    if spec.header is not None:
        headers += [AddHeader(name=h.name, value=(h.value,), append=True) for h in spec.header.add]
        headers += [AddHeader(name=h.name, value=(h.value,)) for h in spec.header.set]
    answer = DirectResponse(status_code=spec.status_code if spec.status_code is not None else 200, body=body)
    return replace(before, direct_response=answer, add_response_headers=tuple(headers))


def _named(problem: Problem) -> Problem:
    return not_accepted(f"invalid filter HTTPRouteFilter: {problem.message}")
