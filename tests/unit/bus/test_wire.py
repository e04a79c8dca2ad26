from __future__ import annotations

import pytest

from shared.bus import wire
from shared.bus.backoff import Backoff
from shared.bus.commit import split
from shared.bus.server_config import render
from shared.core.refs import GatewayRef


def test_subjects_find_their_stream() -> None:
    assert wire.stream_of("ir.xds.default.gw.commit") is wire.IR
    assert wire.stream_of("status.>") is wire.STATUS
    with pytest.raises(KeyError):
        wire.stream_of("other.x")


def test_server_times_are_read() -> None:
    assert wire.seconds("1970-01-01T00:01:00.5Z") == 60.5
    assert wire.seconds("1970-01-01T00:01:00Z") == 60.0


def test_a_shards_subject_is_split() -> None:
    assert split("ir.xds.-.my-class.http.a.HTTPRoute.default.r") == (GatewayRef("", "my-class"), "http.a.HTTPRoute.default.r")
    with pytest.raises(ValueError, match="not a shard"):
        split("ir.infra.default.gw")


def test_deletions_say_so() -> None:
    gone = wire.tombstone("facts.a", {"x": "y"})
    entry = wire.Entry(gone.value, gone.headers, 1, 0)
    assert entry.deleted
    assert gone.headers[wire.TTL] == f"{30 * 24 * 3600}s"
    assert wire.TTL not in wire.tombstone("ir.xds.a.b.c", {}, ttl=None).headers
    assert not wire.Entry(b"", {}, 1, 0).deleted


def test_epochs_are_read_from_headers() -> None:
    assert wire.Entry(b"", {wire.EPOCH: "7"}, 1, 0).epoch == 7
    assert wire.Entry(b"", {wire.EPOCH: "x"}, 1, 0).epoch == 0


def test_backoff_grows_to_its_bound_and_starts_over() -> None:
    backoff = Backoff(first=1, most=4)
    waits = [backoff.next() for _ in range(5)]
    assert 0.5 <= waits[0] <= 1
    assert 2 <= waits[-1] <= 4
    backoff.reset()
    assert backoff.next() <= 1


def test_the_server_stays_on_loopback_unless_told() -> None:
    text = render(store_dir="/data")
    assert 'listen: "127.0.0.1:4222"' in text
    assert "max_payload: 8388608" in text
    assert "authorization" not in text
    assert "verify: true" in render(store_dir="/data", host="0.0.0.0", tls=("ca", "cert", "key"))
