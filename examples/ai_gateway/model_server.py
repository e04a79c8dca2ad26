"""A model server that knows nothing and says so, in OpenAI's words or Anthropic's: for tests, and to try things out.

`python -m examples.ai_gateway.model_server 127.0.0.1:9400 openai` (or `anthropic`, `generic`).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Json = dict[str, Any]
WORDS = ("I ", "have ", "no ", "idea")


class ModelServer:
    """`seen` are its requests; `broken` is a status that it answers everything with. A stream waits for `go` after its first word."""

    def __init__(self, speaks: str, name: str = "") -> None:
        self.speaks = speaks
        self.name = name or speaks
        self.seen: list[tuple[str, dict[str, str], Json]] = []
        self.broken = 0
        self.go = asyncio.Event()
        self.go.set()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body: Json = await request.json()
        self.seen.append((request.path_qs, {k.lower(): v for k, v in request.headers.items()}, body))
        if self.broken:
            error = {"type": "overloaded_error", "message": f"{self.name} is broken"}
            return web.json_response({"type": "error", "error": error}, status=self.broken)
        if body.get("stream"):
            return await self._stream(request, body)
        return web.json_response(getattr(self, f"_{self.speaks}")(body), headers={"x-server": self.name})

    def _openai(self, body: Json) -> Json:
        message = {"role": "assistant", "content": "".join(WORDS)}
        usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice], "usage": usage}

    def _anthropic(self, body: Json) -> Json:
        content = [{"type": "text", "text": "".join(WORDS)}]
        if body.get("tools"):
            content = [{"type": "tool_use", "id": "t1", "name": body["tools"][0]["name"], "input": {"a": 1}}]  # type: ignore[dict-item]
        reason = "tool_use" if body.get("tools") else "end_turn"
        usage = {"input_tokens": 20, "output_tokens": 5}
        head = {"id": "m1", "type": "message", "role": "assistant", "model": body["model"]}
        return {**head, "content": content, "stop_reason": reason, "usage": usage}

    def _generic(self, body: Json) -> Json:
        return {"text": "".join(WORDS), "cost": {"read": 7, "wrote": [3]}}

    async def _stream(self, request: web.Request, body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-server": self.name})
        await response.prepare(request)
        for n, each in enumerate(self._events(body)):
            await response.write(each)
            if n == 1:
                await self.go.wait()
        await response.write_eof()
        return response

    def _events(self, body: Json) -> list[bytes]:
        if self.speaks == "anthropic":
            start = {"id": "m1", "model": body["model"], "usage": {"input_tokens": 20, "output_tokens": 1}}
            deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS]
            events: list[Json] = [
                {"type": "message_start", "message": start},
                *deltas,
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
                {"type": "message_stop"},
            ]
            return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": body.get("model")}
        chunks: list[Json] = [{**head, "choices": [{"index": 0, "delta": {"content": w}, "finish_reason": None}]} for w in WORDS]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}})
        return [f"data: {json.dumps(c)}\n\n".encode() for c in chunks] + [b"data: [DONE]\n\n"]


@asynccontextmanager
async def serving(server: ModelServer, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serves; gives the port."""
    runner = web.AppRunner(server.app())
    await runner.setup()
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def main(address: str, speaks: str) -> None:
    host, _, port = address.rpartition(":")
    async with serving(ModelServer(speaks), host, int(port)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
