"""HTTP/1.0's default host, and what else of HTTP/1 depends on the listener."""

from __future__ import annotations

import msgspec
import pytest

from shared.features.client.http1.ir import Http10
from shared.features.client.http1.spec import Http1Spec
from shared.features.client.http1.translate import translate
from shared.features.parts.faults import Faults

DEFAULT_HOST = msgspec.convert({"http10": {"useDefaultHost": True}}, Http1Spec)


@pytest.mark.parametrize(
    ("own", "routed", "host"),
    [
        (["*", "a.com"], [], "a.com"),
        (["*"], ["b.com"], "b.com"),
        (["*.com"], ["*", "b.com"], "b.com"),
        (["*"], [], None),
        (["*"], ["b.com", "c.com"], None),
    ],
)
def test_the_default_host_is_the_only_one_that_there_can_be(own: list[str], routed: list[str], host: str | None) -> None:
    faults = Faults()
    made = translate(DEFAULT_HOST, own, lambda: routed, False, faults)
    assert made is not None
    assert made.http10 == (Http10(default_host=host) if host is not None else None)
    assert bool(faults.texts) is (host is None)


def test_routes_are_not_asked_for_their_hosts_without_need() -> None:
    def unasked() -> list[str]:
        raise AssertionError

    made = translate(msgspec.convert({"http10": {}, "disableSafeMaxConnectionDuration": True}, Http1Spec), ["*"], unasked, False, Faults())
    assert made is not None
    assert (made.http10, made.disable_safe_max_connection_duration) == (Http10(), False)
