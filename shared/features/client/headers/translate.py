"""Headers of a listener: valid edits are kept, the first of each name wins, every invalid one is named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from shared.core.quantities import Quantity, whole
from shared.features.client.headers.ir import ForwardedClientCert, Headers, HostSettings
from shared.features.client.headers.spec import ForwardedClientCertSpec, HeaderMutations, HeadersSpec
from shared.features.parts.faults import Faults
from shared.features.parts.formats import format_fault
from shared.features.parts.header_spec import HttpHeader
from shared.features.parts.regex import regex_fault
from shared.features.parts.string_match import string_match
from shared.ir.match import AddHeader, StringMatch

_VALUE = re.compile(r"[!-~]+([\t ]?[!-~]+)*")
_KIB, _MOST_KIB = 1024, 8192
_DETAILED = ("AppendForward", "SanitizeSet")

Edits = tuple[tuple[AddHeader, ...], tuple[str, ...], tuple[StringMatch, ...]]
"""Headers to add, names to remove, and matches of names to remove."""


def translate(spec: HeadersSpec | None, faults: Faults) -> Headers | None:
    if spec is None:
        return None
    here = faults.inside("Headers")
    limit = _kibibytes(spec.max_request_header_limit, here)
    early = _edits(spec.early_request_headers, "EarlyRequestHeaders", here)
    late = _edits(spec.late_response_headers, "LateResponseHeaders", here)
    return Headers(
        enable_envoy_headers=spec.enable_envoy_headers,
        disable_rate_limit_headers=spec.disable_rate_limit_headers,
        x_forwarded_client_cert=_forwarded(spec.x_forwarded_client_cert),
        with_underscores_action=spec.with_underscores_action,
        request_id=spec.request_id or ("PreserveOrGenerate" if spec.preserve_x_request_id else None),
        early_add_request_headers=early[0],
        early_remove_request_headers=early[1],
        early_remove_request_headers_on_match=early[2],
        late_add_response_headers=late[0],
        late_remove_response_headers=late[1],
        late_remove_response_headers_on_match=late[2],
        max_request_headers_kb=limit,
    )


def host(spec: HeadersSpec | None) -> HostSettings | None:
    """What is done to the Host header; an empty setting is none."""
    strip = spec.host.strip_trailing_host_dot if spec is not None and spec.host is not None else None
    return HostSettings(strip_trailing_host_dot=strip) if strip is not None else None


def _forwarded(spec: ForwardedClientCertSpec | None) -> ForwardedClientCert | None:
    if spec is None:
        return None
    return ForwardedClientCert(mode=spec.mode, cert_details_to_add=spec.cert_details_to_add if spec.mode in _DETAILED else ())


def _kibibytes(limit: Quantity | None, faults: Faults) -> int | None:
    """Envoy counts in KiB: rounded up."""
    if limit is None:
        return None
    size = whole(limit)
    if size is None or size < _KIB:
        faults.add(f"MaxRequestHeaderLimit value {limit} must be at least 1Ki")
    elif size > _MOST_KIB * _KIB:
        faults.add(f"MaxRequestHeaderLimit value {limit} exceeds the maximum of {_MOST_KIB}Ki")
    else:
        return -(-size // _KIB)
    return None


def _edits(spec: HeaderMutations | None, kind: str, faults: Faults) -> Edits:
    if spec is None:
        return (), (), ()
    added: dict[str, AddHeader] = {}
    for verb, headers in (("add", spec.add), ("set", spec.set), ("addIfAbsent", spec.add_if_absent)):
        for header in headers:
            if (fault := _fault(header)) is not None:
                faults.add(f"{kind} cannot {verb} a header with {fault}")
                continue
            made = AddHeader(name=header.name, value=(header.value,), append=verb == "add", add_if_absent=verb == "addIfAbsent")
            added.setdefault(header.name.lower(), made)
    removed = {name.lower(): name for name in reversed(spec.remove) if name}
    if "" in spec.remove:
        faults.add(f"{kind} cannot remove a header with an empty name")
    matched = tuple(_matches(spec, kind, faults))
    if not added and not removed and not matched:
        faults.add(f"{kind} did not provide valid configuration to add/set/remove any headers")
    return tuple(added.values()), tuple(_in_order(spec.remove, removed)), matched


def _fault(header: HttpHeader) -> str | None:
    if not header.name:
        return "an empty name"
    if "/" in header.name or ":" in header.name:
        return f"a '/' or ':' character in them. Header: {header.name!r}"
    if not _VALUE.fullmatch(header.value):
        return f"an invalid value. Header: {header.name!r}"
    # it would cost the whole listener
    fault = format_fault(header.value)
    return f"an invalid value. Header: {header.name!r}: {fault}" if fault is not None else None


def _matches(spec: HeaderMutations, kind: str, faults: Faults) -> Iterator[StringMatch]:
    for match in spec.remove_on_match:
        if not match.value:
            faults.add(f"{kind} cannot remove a header with an empty matcher value")
        elif match.type == "RegularExpression" and (fault := regex_fault(match.value)) is not None:
            faults.add(f"{kind} cannot remove headers on match: {fault}")
        else:
            yield string_match(match)


def _in_order(names: Iterable[str], first: dict[str, str]) -> list[str]:
    """The first spelling of each name, where it stands."""
    return [first[key] for key in dict.fromkeys(n.lower() for n in names) if key in first]
