"""Requests and responses between OpenAI's form and what backends speak; streams may be cut anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from examples.ai_gateway.kinds import Generic as GenericSpec
from examples.ai_gateway.kinds import Usage
from examples.ai_gateway.schemas.anthropic import Anthropic
from examples.ai_gateway.schemas.base import Reader, Refused, Schema, Tokens
from examples.ai_gateway.schemas.generic import Generic
from examples.ai_gateway.schemas.openai import OpenAI

CHAT = "/chat/completions"
HI = {"role": "user", "content": "hi"}


def asked(schema: Schema, body: dict[str, Any], model: str = "m") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema.request(body, CHAT, model).body)
    return found


def fed(reader: Reader, data: bytes, step: int) -> bytes:
    parts = [data[n : n + step] for n in range(0, len(data), step)]
    return b"".join(reader.feed(part, False) for part in parts) + reader.feed(b"", True)


def test_openai_passes_on_all_but_the_models_name() -> None:
    out = OpenAI("/v1").request({"model": "a", "messages": [HI], "seed": 1}, f"{CHAT}?x=1", "b")
    assert (out.path, json.loads(out.body)) == ("/v1/chat/completions?x=1", {"model": "b", "messages": [HI], "seed": 1})


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("shows", [True, False])
def test_openai_streams_say_what_they_cost_to_who_asked(step: int, shows: bool) -> None:
    body: dict[str, Any] = {"model": "a", "stream": True, **({"stream_options": {"include_usage": True}} if shows else {})}
    assert asked(OpenAI(""), body)["stream_options"] == {"include_usage": True}
    reader = OpenAI("").reader(body, 200, "text/event-stream; charset=utf-8")
    chunk, usage, done = (
        b'data: {"choices": [{}]}\n\n',
        b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n',
        b"data: [DONE]\n\n",
    )
    assert fed(reader, chunk + usage + done, step) == chunk + (usage if shows else b"") + done
    assert reader.tokens == Tokens(3, 2)


def test_the_responses_api_has_other_names_for_tokens() -> None:
    reader = OpenAI("").reader({}, 200, "application/json")
    assert fed(reader, b'{"usage": {"input_tokens": 1, "output_tokens": 2}}', 5) == b'{"usage": {"input_tokens": 1, "output_tokens": 2}}'
    assert reader.tokens == Tokens(1, 2)


def test_a_conversation_is_told_to_anthropic() -> None:
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": [{"type": "text", "text": "and short"}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": "42"},
        {"role": "user", "content": "and?"},
    ]
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    more = {"tools": [tool], "tool_choice": "required", "stop": "END", "temperature": 1.5, "max_tokens": 9, "user": "u"}
    found = asked(Anthropic(""), {"messages": messages, **more}, "claude")
    assert found["system"] == "be kind\n\nand short"
    assert [m["role"] for m in found["messages"]] == ["user", "assistant", "user"]
    assert found["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "AA"}
    assert found["messages"][1]["content"] == [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]
    assert [p["type"] for p in found["messages"][2]["content"]] == ["tool_result", "text"]
    assert found["tools"] == [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    assert {k: found[k] for k in ("model", "max_tokens", "temperature", "stop_sequences", "tool_choice", "metadata")} == {
        "model": "claude",
        "max_tokens": 9,
        "temperature": 1,
        "stop_sequences": ["END"],
        "tool_choice": {"type": "any"},
        "metadata": {"user_id": "u"},
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "x"},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "sound"}]}]},
    ],
)
def test_what_anthropic_cannot_be_told_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        asked(Anthropic(""), body)
    with pytest.raises(Refused, match="embeddings"):
        Anthropic("").request({"messages": [HI]}, "/embeddings", "m")


def test_anthropics_answer_and_its_errors() -> None:
    answer = {
        "id": "m",
        "model": "claude",
        "content": [{"type": "text", "text": "so "}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3},
    }
    reader = Anthropic("").reader({}, 200, "application/json")
    found = json.loads(fed(reader, json.dumps(answer).encode(), 11))
    assert found["choices"][0]["finish_reason"] == "tool_calls"
    assert found["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert (reader.tokens, found["usage"]["total_tokens"]) == (Tokens(3, 3), 6)
    error = Anthropic("").reader({}, 529, "application/json")
    said = json.loads(fed(error, b'{"type": "error", "error": {"type": "overloaded_error", "message": "later"}}', 9))
    assert said["error"]["message"] == "later"
    assert fed(Anthropic("").reader({}, 502, "text/html"), b"<html>", 3) == b"<html>", "what cannot be read passes as it is"


@pytest.mark.parametrize("step", [1, 13, 10_000])
def test_anthropics_events(step: int) -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "grüß"}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    data = "".join(f"event: {e['type']}\r\ndata: {json.dumps(e, ensure_ascii=False)}\r\n\r\n" for e in events).encode()
    reader = Anthropic("").reader({"stream_options": {"include_usage": True}}, 200, "text/event-stream")
    *lines, done = [line[6:] for line in fed(reader, data, step).decode().split("\n\n") if line]
    chunks = [json.loads(line) for line in lines]
    assert done == "[DONE]"
    assert {c["id"] for c in chunks} == {"m"}
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert "".join(d.get("content") or "" for d in deltas) == "grüß"
    assert "".join(t["function"]["arguments"] for d in deltas for t in d.get("tool_calls", ())) == '{"a": 1}'
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "tool_calls"
    assert chunks[-1]["usage"]["total_tokens"] == 16
    assert reader.tokens == Tokens(7, 9)


def test_a_generic_backend_is_told_where_things_are() -> None:
    spec = GenericSpec(path="/ask", model_field="/options/model", usage=Usage("/cost/0", "/cost/1"))
    out = Generic("/api", spec).request({"model": "a", "q": 1}, "/anything", "b")
    assert (out.path, json.loads(out.body)) == ("/api/ask", {"q": 1, "options": {"model": "b"}})
    reader = Generic("", spec).reader({}, 200, "application/json")
    assert fed(reader, b'{"cost": [4, 5]}', 3) == b'{"cost": [4, 5]}'
    assert reader.tokens == Tokens(4, 5)
    stream = Generic("", spec).reader({}, 200, "text/event-stream")
    fed(stream, b'data: {"cost": [4]}\n\ndata: {"cost": [null, 6]}\n\n', 8)
    assert stream.tokens == Tokens(4, 6)
    with pytest.raises(Refused):
        Generic("", spec).request({"options": 1}, "/", "b")
