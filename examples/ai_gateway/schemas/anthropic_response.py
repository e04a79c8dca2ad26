"""Anthropic's answers, whole or as a stream of events, told as OpenAI tells them."""

from __future__ import annotations

import json
import time
from typing import Any

from examples.ai_gateway.schemas.base import Events, Json, Tokens, Whole, event, number

_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def _finish(reason: Any) -> str | None:
    return _FINISH.get(reason, "stop") if reason is not None else None


def _tokens(usage: Any, before: Tokens) -> Tokens:
    """What is read counts whether it came from a cache or not; events may tell only one of both."""
    if not isinstance(usage, dict):
        return before
    read = sum(number(usage.get(name)) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    return Tokens(read or before.input, number(usage.get("output_tokens")) or before.output)


def _usage(tokens: Tokens) -> Json:
    return {"prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.total}


class ErrorWhole(Whole):
    def whole(self, value: Json) -> bytes:
        of = value.get("error") or {}
        said: Json = {"error": {"message": of.get("message", ""), "type": of.get("type", "api_error"), "code": None, "param": None}}
        return json.dumps(said, ensure_ascii=False).encode()


class AnswerWhole(Whole):
    def whole(self, value: Json) -> bytes:
        self.tokens = _tokens(value.get("usage"), self.tokens)
        parts = value["content"]
        message: Json = {"role": "assistant", "content": "".join(p["text"] for p in parts if p["type"] == "text") or None}
        calls = [
            {"id": p["id"], "type": "function", "function": {"name": p["name"], "arguments": json.dumps(p["input"], ensure_ascii=False)}}
            for p in parts
            if p["type"] == "tool_use"
        ]
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": _finish(value.get("stop_reason")), "logprobs": None}
        said: Json = {
            "id": value["id"],
            "object": "chat.completion",
            "created": int(time.time()),
            "model": value["model"],
            "choices": [choice],
            "usage": _usage(self.tokens),
        }
        return json.dumps(said, ensure_ascii=False).encode()


class AnswerEvents(Events):
    """Anthropic counts blocks of content, OpenAI calls of tools: `_calls` leads from one to the other."""

    def __init__(self, shows_usage: bool) -> None:
        super().__init__()
        self._shows = shows_usage
        self._head: Json = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": ""}
        self._calls: dict[int, int] = {}
        self._done = False

    def event(self, value: Json, raw: bytes) -> bytes:
        match value.get("type"):
            case "message_start":
                of = value["message"]
                self._head |= {"id": of["id"], "model": of["model"]}
                self.tokens = _tokens(of.get("usage"), self.tokens)
                return self._chunk({"role": "assistant", "content": ""})
            case "content_block_start" if value["content_block"]["type"] == "tool_use":
                index = self._calls[value["index"]] = len(self._calls)
                of = value["content_block"]
                call = {"index": index, "id": of["id"], "type": "function", "function": {"name": of["name"], "arguments": ""}}
                return self._chunk({"tool_calls": [call]})
            case "content_block_delta":
                return self._delta(value["index"], value["delta"])
            case "message_delta":
                self.tokens = _tokens(value.get("usage"), self.tokens)
                return self._chunk({}, _finish(value["delta"].get("stop_reason")))
            case "message_stop":
                return self._end()
            case "error":
                of = value.get("error") or {}
                return event({"error": {"message": of.get("message", ""), "type": of.get("type", "api_error")}})
            case _:
                return b""

    def other(self, raw: bytes) -> bytes:
        return b""

    def _delta(self, block: int, of: Json) -> bytes:
        if of["type"] == "text_delta":
            return self._chunk({"content": of["text"]})
        if of["type"] == "input_json_delta" and block in self._calls:
            return self._chunk({"tool_calls": [{"index": self._calls[block], "function": {"arguments": of["partial_json"]}}]})
        return b""

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        return event({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]})

    def _end(self) -> bytes:
        self._done = True
        usage = event({**self._head, "choices": [], "usage": _usage(self.tokens)}) if self._shows else b""
        return usage + event("[DONE]")
