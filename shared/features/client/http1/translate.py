"""HTTP/1 of a listener. An HTTP/1.0 client names no host: it is the listener's own, or that of its only route."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.features.client.http1.ir import Http1, Http10
from shared.features.client.http1.spec import Http1Spec, Http10Spec
from shared.features.parts.faults import Faults
from shared.features.parts.regex import regex_fault
from shared.features.parts.string_match import string_match


def translate(
    spec: Http1Spec | None, hostnames: Sequence[str], routed: Callable[[], Sequence[str]], limits_duration: bool, faults: Faults
) -> Http1 | None:
    """`hostnames` are the listener's own, `routed` those of its routes; `limits_duration`: connections end by age."""
    if spec is None:
        return None
    here = faults.inside("HTTP1")
    for match in spec.ignored_upgrade_types:
        if match.type == "RegularExpression" and (fault := regex_fault(match.value)) is not None:
            here.add(f"IgnoredUpgradeTypes: {fault}")
    return Http1(
        enable_trailers=spec.enable_trailers,
        preserve_header_case=spec.preserve_header_case,
        http10=_http10(spec.http10, hostnames, routed, here) if spec.http10 is not None else None,
        disable_safe_max_connection_duration=limits_duration and spec.disable_safe_max_connection_duration,
        ignored_upgrade_types=tuple(string_match(m) for m in spec.ignored_upgrade_types),
    )


def _http10(spec: Http10Spec, hostnames: Sequence[str], routed: Callable[[], Sequence[str]], faults: Faults) -> Http10 | None:
    if not spec.use_default_host:
        return Http10()
    own = next((h for h in hostnames if "*" not in h), None)
    if own is not None:
        return Http10(default_host=own)
    found = [h for h in routed() if h and "*" not in h]
    if len(found) == 1:
        return Http10(default_host=found[0])
    more = " and more than one possible default route" if found else ""
    faults.add(f"cannot set http10 default host on listener with only wildcard hostnames{more}")
    return None
