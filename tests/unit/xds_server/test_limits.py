"""What the rate limit service is told: one snapshot over all Gateways, only whole, only when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from services.xds_server.ads.messages import Request
from services.xds_server.limits.board import CONFIG, CONFIG_MESSAGE, Board, Counter
from services.xds_server.limits.stream import LimitStream
from services.xds_server.store import GatewayStore
from shared.core.refs import GatewayRef
from shared.features.traffic.rate_limit.ir import GlobalRateLimit, RateLimit, RateLimitRule, RateLimitValue
from shared.ir.base import decode as decode_ir
from shared.ir.base import encode
from shared.ir.http import HttpListener
from shared.ir.metadata import PolicyMetadata
from shared.ir.policy import Policies, PolicyShard
from shared.ir.traffic import Traffic
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

ONE, OTHER = GatewayRef("default", "one"), GatewayRef("default", "other")
POLICY = "policy.BackendTrafficPolicy.default.limits"


def policy(*rules: RateLimitRule) -> bytes:
    limit = RateLimit(global_=GlobalRateLimit(rules=rules))
    about = PolicyMetadata(kind="BackendTrafficPolicy", name="limits", namespace="default")
    return encode(PolicyShard(policy=about, traffic=Traffic(rate_limit=limit)))


def rule(n: int, requests: int = 5, *, shared: bool = False) -> RateLimitRule:
    value = RateLimitValue(requests=requests, unit="Hour")
    return RateLimitRule(name=f"default/limits/rule/{n}", limit=value, shared=True if shared else None)


def stored(shards: Mapping[str, bytes | None]) -> GatewayStore:
    """A Gateway whose listener gives all of its routes the policy."""
    store = b.store()
    data = shards[b.LISTENER]
    assert data is not None
    listener = decode_ir(data, HttpListener)
    named = encode(replace(listener, policies=Policies(traffic=(POLICY,))))
    store.apply(1, {**shards, b.LISTENER: named, POLICY: policy(rule(0), rule(1, shared=True))})
    return store


def shown(board: Board) -> dict[str, Any]:
    return {c["domain"]: c for body in board.configs or () for c in [to_json(decode(CONFIG_MESSAGE, body))]}


def test_each_route_counts_for_itself_and_a_shared_rule_once() -> None:
    store = stored(b.encoded(b.gateway(2)))
    board = Board()
    assert board.apply(ONE, store.moved_limits())
    board.complete()
    found = shown(board)
    assert set(found) == {"default/eg/http", "default/limits"}
    assert (
        len(found["default/eg/http"]["descriptors"])
        == len(store.snapshot()["type.googleapis.com/envoy.config.route.v3.RouteConfiguration"]) + 1
    )
    (once,) = found["default/limits"]["descriptors"]
    assert once["key"] == "default/limits/rule/1"
    assert once["descriptors"][0]["rateLimit"] == {"unit": "HOUR", "requestsPerUnit": 5}


def test_only_what_changed_is_told_of() -> None:
    store = stored(b.encoded(b.gateway(3)))
    assert len(store.moved_limits()) == 4
    assert store.moved_limits() == {}
    store.apply(2, {b.route_key("r1"): None})
    ((gone, data),) = store.moved_limits().items()
    assert "r1" in gone.name
    assert data is None
    store.apply(3, {POLICY: policy(rule(0, requests=6), rule(1, shared=True))})
    assert len(store.moved_limits()) == 2


def test_a_domain_of_two_gateways_goes_with_the_last() -> None:
    board, counter = Board(), Counter("default/limits", "default/limits/rule/0")
    board.complete()
    assert board.apply(ONE, {counter: b"\x0a\x01a"})
    assert not board.apply(OTHER, {counter: b"\x0a\x01a"}), "the same, as far as anybody can see"
    assert not board.remove(ONE)
    assert set(shown(board)) == {"default/limits"}
    assert board.remove(OTHER)
    assert board.configs == ()


def test_nothing_is_said_before_every_gateway_is_known() -> None:
    board = Board()
    stream = LimitStream(board)
    stream.on_request(Request(CONFIG))
    board.apply(ONE, {Counter("d", "n"): b"\x0a\x01n"})
    assert stream.poll() is None
    assert board.complete()
    assert not board.complete()
    response = stream.poll()
    assert response is not None
    assert len(response.resources) == 1


def test_one_response_is_in_flight_and_a_refused_one_is_not_repeated() -> None:
    board = Board()
    board.complete()
    stream = LimitStream(board)
    assert stream.poll() is None, "nobody asked"
    stream.on_request(Request(CONFIG))
    first = stream.poll()
    assert first is not None
    board.apply(ONE, {Counter("d", "n"): b"\x0a\x01n"})
    assert stream.poll() is None
    assert stream.on_request(Request(CONFIG, nonce=first.nonce, version=first.version)) is None
    second = stream.poll()
    assert second is not None
    assert stream.on_request(Request(CONFIG, nonce=first.nonce)) is None, "an old nonce is no answer"
    assert stream.on_request(Request(CONFIG, nonce=second.nonce, error="no")) == "no"
    assert stream.poll() is None


def test_a_service_that_holds_the_same_already_is_left_alone() -> None:
    board = Board()
    board.apply(ONE, {Counter("d", "n"): b"\x0a\x01n"})
    board.complete()
    stream = LimitStream(board)
    stream.on_request(Request(CONFIG, version=board.version))
    assert stream.poll() is None
