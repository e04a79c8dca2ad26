"""OpenAI's own: nothing is changed but the model's name, and that a stream says at its end what it cost."""

from __future__ import annotations

import json
from typing import Any

from examples.ai_gateway.schemas.base import Events, Json, Outgoing, Reader, Tokens, Whole, is_stream, number

STREAMS = ("/chat/completions", "/completions")
"""Where `stream_options` is known."""


def tokens(value: Any) -> Tokens | None:
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return None
    # the Responses API has other names for the same
    read, written = usage.get("prompt_tokens", usage.get("input_tokens")), usage.get("completion_tokens", usage.get("output_tokens"))
    return Tokens(number(read), number(written))


def wants_usage(asked: Json) -> bool:
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


class _Whole(Whole):
    def whole(self, value: Json) -> bytes:
        self.tokens = tokens(value) or self.tokens
        return self._data


class _Events(Events):
    def __init__(self, shows_usage: bool) -> None:
        super().__init__()
        self._shows = shows_usage

    def event(self, value: Json, raw: bytes) -> bytes:
        of = value.get("response") if isinstance(value.get("response"), dict) else value
        found = tokens(of)
        self.tokens = found or self.tokens
        if found is not None and not self._shows and value.get("choices") == []:
            # we asked for it, the client did not
            return b""
        return raw + b"\n\n"


class OpenAI:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def request(self, body: Json, path: str, model: str) -> Outgoing:
        changed: Json = {**body, "model": model}
        if body.get("stream") is True and path.partition("?")[0] in STREAMS:
            options = body.get("stream_options")
            changed["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return Outgoing(self._prefix + path, json.dumps(changed, ensure_ascii=False).encode())

    def reader(self, asked: Json, status: int, content_type: str) -> Reader:
        return _Events(wants_usage(asked)) if is_stream(content_type) else _Whole()

    def credentials(self, key: str) -> tuple[str, str]:
        return "authorization", f"Bearer {key}"
