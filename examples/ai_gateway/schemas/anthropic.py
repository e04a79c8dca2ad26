"""Anthropic's Messages API: a chat completion asked there, and its answer told as OpenAI would."""

from __future__ import annotations

import json
from typing import Any

from examples.ai_gateway.schemas.anthropic_response import AnswerEvents, AnswerWhole, ErrorWhole
from examples.ai_gateway.schemas.base import UNREADABLE, Json, Outgoing, Reader, Refused, is_stream

VERSION = "2023-06-01"
MOST_TOKENS = 4096
"""Anthropic wants to be told how much it may write; this where the client does not say."""
_SAME = ("temperature", "top_p", "stream")


class Anthropic:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def request(self, body: Json, path: str, model: str) -> Outgoing:
        if path.partition("?")[0] != "/chat/completions":
            raise Refused(f"an Anthropic backend answers chat completions alone, not {path}")
        try:
            asked = _asked(body, model)
        except UNREADABLE as e:
            raise Refused(f"no chat completion that can be told to Anthropic: {type(e).__name__}: {e}") from None
        return Outgoing(f"{self._prefix}/messages", json.dumps(asked, ensure_ascii=False).encode(), {"anthropic-version": VERSION})

    def reader(self, asked: Json, status: int, content_type: str) -> Reader:
        if status >= 400:
            return ErrorWhole()
        options = asked.get("stream_options")
        shows = isinstance(options, dict) and options.get("include_usage") is True
        return AnswerEvents(shows) if is_stream(content_type) else AnswerWhole()

    def credentials(self, key: str) -> tuple[str, str]:
        return "x-api-key", key


def _asked(body: Json, model: str) -> Json:
    out: Json = {"model": model, "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens") or MOST_TOKENS}
    out |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if isinstance(out.get("temperature"), int | float):
        out["temperature"] = min(out["temperature"], 1)
    stop = body.get("stop")
    if stop:
        out["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(body.get("user"), str):
        out["metadata"] = {"user_id": body["user"]}
    system = [_text(m["content"]) for m in body["messages"] if m["role"] in ("system", "developer")]
    if system:
        out["system"] = "\n\n".join(system)
    out["messages"] = _messages([m for m in body["messages"] if m["role"] not in ("system", "developer")])
    if body.get("tools"):
        out["tools"] = [_tool(t["function"]) for t in body["tools"]]
        if (choice := _choice(body.get("tool_choice"))) is not None:
            out["tool_choice"] = choice
    return out


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(p["text"] for p in content if p["type"] == "text")


def _messages(given: list[Json]) -> list[Json]:
    """Messages of one role that follow each other are one there: answers of several tools, above all."""
    out: list[Json] = []
    for each in given:
        role, content = _message(each)
        if out and out[-1]["role"] == role:
            out[-1]["content"] += content
        else:
            out.append({"role": role, "content": content})
    return out


def _message(of: Json) -> tuple[str, list[Json]]:
    role, content = of["role"], of.get("content")
    if role == "tool":
        return "user", [{"type": "tool_result", "tool_use_id": of["tool_call_id"], "content": _text(content or "")}]
    parts = [_part(p) for p in ([{"type": "text", "text": content}] if isinstance(content, str) and content else content or [])]
    for call in of.get("tool_calls") or ():
        arguments = json.loads(call["function"].get("arguments") or "{}")
        parts.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": arguments})
    if role not in ("user", "assistant"):
        raise ValueError(f"role {role!r}")
    return role, parts


def _part(of: Json) -> Json:
    if of["type"] == "text":
        return {"type": "text", "text": of["text"]}
    if of["type"] == "image_url":
        url = of["image_url"]["url"]
        if url.startswith("data:"):
            media, _, data = url.removeprefix("data:").partition(";base64,")
            return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise ValueError(f"content of type {of['type']!r}")


def _tool(of: Json) -> Json:
    described = {"description": of["description"]} if of.get("description") else {}
    return {"name": of["name"], **described, "input_schema": of.get("parameters") or {"type": "object", "properties": {}}}


def _choice(of: Any) -> Json | None:
    if isinstance(of, dict):
        return {"type": "tool", "name": of["function"]["name"]}
    return {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}.get(of) if isinstance(of, str) else None
