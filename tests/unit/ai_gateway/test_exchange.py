"""What the processor says, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from examples.ai_gateway.exchange import Credentials, Front, Upstream
from examples.ai_gateway.target import MODEL_HEADER, NAMESPACE, TARGET_HEADER, Key, Target, read, written
from shared.xds.message import Fields, build, encode

KEYED = Target("default/r", "default", "b", "OpenAI", "/v1", "/v1", model="there", key=Key("s", "apiKey"))


def message(kind: str, **fields: Any) -> Any:
    return build("envoy.service.ext_proc.v3.ProcessingRequest", {kind: fields})


def headers(kind: str, end: bool = False, **values: str) -> Any:
    every = [{"key": k.replace("__", ":").replace("_", "-"), "raw_value": v.encode()} for k, v in values.items()]
    return message(kind, headers={"headers": every}, end_of_stream=end)


def body(kind: str, data: Any, end: bool = True) -> Any:
    return message(kind, body=data if isinstance(data, bytes) else json.dumps(data).encode(), end_of_stream=end)


def sane(answer: Fields) -> Fields:
    """What Envoy could read."""
    assert encode("envoy.service.ext_proc.v3.ProcessingResponse", answer)
    return answer


def set_headers(answer: Fields) -> dict[str, str]:
    mutation = answer["request_body"]["response"]["header_mutation"]
    return {h["header"]["key"]: h["header"]["raw_value"].decode() for h in mutation["set_headers"]}


def status(answer: Fields) -> int:
    sane(answer)
    return int(answer["immediate_response"]["status"]["code"]) if "immediate_response" in answer else 0


def test_the_front_says_which_model_and_has_the_route_chosen_anew() -> None:
    front = Front()
    first = sane(front.on(headers("request_headers", x_ai_gateway_model="mine")))
    assert MODEL_HEADER in first["request_headers"]["response"]["header_mutation"]["remove_headers"]
    answer = sane(front.on(body("request_body", {"model": "gpt-4o"})))
    assert set_headers(answer) == {MODEL_HEADER: "gpt-4o"}
    assert answer["request_body"]["response"]["clear_route_cache"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", [], {}, {"model": 1}, {"model": ""}, {"model": "a\nb"}, {"model": "x" * 257}, b"[" * 100_000]
)
def test_the_front_refuses_what_names_no_model(data: Any) -> None:
    assert status(Front().on(body("request_body", data))) == 400


def test_a_request_without_a_body_is_refused() -> None:
    assert status(Front().on(headers("request_headers", end=True))) == 400


def upstream(target: Target = KEYED, credentials: Credentials | None = None) -> Upstream:
    found = Upstream({("default", "s", "apiKey"): "sk"} if credentials is None else credentials)
    told: dict[str, Any] = {TARGET_HEADER.replace("-", "_"): written(target)}
    sane(found.on(headers("request_headers", __path="/v1/chat/completions?a=b", **told)))
    return found


def test_a_request_in_the_backends_words_and_with_its_key() -> None:
    answer = sane(upstream().on(body("request_body", {"model": "m"})))
    found = set_headers(answer)
    assert (found[":path"], found["authorization"]) == ("/v1/chat/completions?a=b", "Bearer sk")
    sent = answer["request_body"]["response"]["body_mutation"]["body"]
    assert json.loads(sent) == {"model": "there"}
    assert found["content-length"] == str(len(sent))
    removed = answer["request_body"]["response"]["header_mutation"]["remove_headers"]
    assert {"x-api-key", "accept-encoding", MODEL_HEADER, TARGET_HEADER} <= set(removed)
    assert "authorization" not in removed


def test_keys_in_other_headers() -> None:
    other = Target("r", "default", "b", "OpenAI", "", "/v1", key=Key("s", "apiKey", "x-key", "Token "))
    found = set_headers(upstream(other).on(body("request_body", {"model": "m"})))
    assert (found["x-key"], "authorization" in found) == ("Token sk", False)
    bare = Target("r", "default", "b", "OpenAI", "", "/v1", key=Key("s", "apiKey", "x-key"))
    assert set_headers(upstream(bare).on(body("request_body", {"model": "m"})))["x-key"] == "sk"


def test_a_target_that_somebody_made_up_gets_no_key() -> None:
    told = {TARGET_HEADER: written(KEYED)}
    for text, signing in ((told[TARGET_HEADER], b"k" * 32), (written(KEYED, b"other" * 8), b"k" * 32)):
        of = Upstream({("default", "s", "apiKey"): "sk"}, signing)
        more: dict[str, Any] = {TARGET_HEADER.replace("-", "_"): text}
        assert status(of.on(headers("request_headers", **more))) == 500
        assert status(of.on(body("request_body", {"model": "m"}))) == 400
    assert read(written(KEYED, b"k" * 32), b"k" * 32) == KEYED


def test_no_key_nobody_and_nonsense() -> None:
    assert status(upstream(credentials={}).on(body("request_body", {"model": "m"}))) == 503, "the next backend may have one"
    nobody = Target("r", "", "", "OpenAI", "", "/v1", unknown=True)
    assert status(upstream(nobody).on(body("request_body", {"model": "m"}))) == 404
    assert status(Upstream({}).on(headers("request_headers"))) == 500
    assert status(upstream(Target("r", "n", "b", "Anthropic", "", "/v1")).on(body("request_body", {"model": "m"}))) == 400


def test_what_it_cost_ends_in_metadata() -> None:
    of = upstream()
    of.on(body("request_body", {"model": "m"}))
    answer = sane(of.on(headers("response_headers", __status="200", content_type="application/json")))
    assert "content-length" in answer["response_headers"]["response"]["header_mutation"]["remove_headers"]
    data = json.dumps({"usage": {"prompt_tokens": 2, "completion_tokens": 3}}).encode()
    first = sane(of.on(body("response_body", data[:5], end=False)))
    assert first["response_body"]["response"]["body_mutation"] == {"clear_body": True}
    last = sane(of.on(body("response_body", data[5:])))
    assert last["response_body"]["response"]["body_mutation"] == {"body": data}
    assert dict(last["dynamic_metadata"][NAMESPACE])["total_tokens"] == 5
    of.close()


def test_what_is_compressed_passes_as_it_is() -> None:
    of = upstream()
    of.on(body("request_body", {"model": "m"}))
    sane(of.on(headers("response_headers", __status="200", content_encoding="gzip")))
    assert sane(of.on(body("response_body", b"\x1f\x8b"))) == {"response_body": {}}
    assert sane(of.on(message("response_trailers"))) == {"response_trailers": {}}
