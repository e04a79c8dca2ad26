"""The AI gateway beside the whole pipeline, with model servers of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from examples.ai_gateway.model_server import ModelServer, serving
from shared.runtime.load import parse
from shared.testing.wait import until
from tests.integration.pipeline import Pipeline, free_port

CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: headgate}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
"""
CONFIG = Path(__file__).parents[2] / "examples" / "ai_gateway" / "headgate.yaml"
CHAT = "/v1/chat/completions"


def gateway(
    namespace: str, name: str, port: int | str, *, labels: str = "{}", listener: str = "http", more: str = "", extra: str = ""
) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  gatewayClassName: headgate
  {more}
  listeners:
  - {{name: {listener}, protocol: HTTP, port: {port}, allowedRoutes: {{namespaces: {{from: All}}}}}}
  {extra}
"""


def backend(name: str, port: int | str, more: str = "", namespace: str = "default") -> str:
    return f"""
apiVersion: ai-gateway.envoyproxy.io/v1alpha1
kind: AIBackend
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  endpoint: {{host: 127.0.0.1, port: {port}}}
  {more}
"""


def route(rules: str, name: str = "chat", more: str = "", namespace: str = "default") -> str:
    return f"""
apiVersion: ai-gateway.envoyproxy.io/v1alpha1
kind: AIRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  {more}
  rules: {rules}
"""


def secret(name: str, key: str, namespace: str = "default") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData: {{apiKey: {key}}}\n"


class AiWorld:
    def __init__(self, p: Pipeline, openai: ModelServer, anthropic: ModelServer, ports: dict[str, int]) -> None:
        self.p, self.openai, self.anthropic, self.ports = p, openai, anthropic, ports
        self.log = p.root.parent / "ai-gateway.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """The AI gateway's process."""
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "examples.ai_gateway", str(self.p.root.parent / "ai-gateway.yaml")]
            self._process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    async def stop(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self._process.wait(), 15) == 0, self.log.read_text()[-3000:]

    async def ask(self, model: str, port: int = 0, path: str = CHAT, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        asked = {"model": model, "messages": [{"role": "user", "content": "why?"}], **body}
        return await self.p.client.post(f"http://127.0.0.1:{port or self.p.port}{path}", json=asked, headers=headers)

    async def answers(self, model: str, status: int = 200, port: int = 0, **headers: str) -> httpx.Response:
        """Waits until that model is answered so."""

        async def right() -> httpx.Response | None:
            found = await self.ask(model, port)
            fits = all(found.headers.get(k.replace("_", "-")) == v for k, v in headers.items())
            return found if found.status_code == status and fits else None

        answer: httpx.Response = await until(right, 30)
        return answer

    async def metrics(self) -> dict[str, float]:
        text = (await self.p.client.get(f"http://127.0.0.1:{self.ports['metrics']}/metrics")).text
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def status(self, name: str, kind: str = "AIRoute", namespace: str = "default") -> dict[str, Any]:
        return self.p.status("ai-gateway.envoyproxy.io", kind, name, namespace)


@contextlib.asynccontextmanager
async def ai_world(root: Path, *, selector: str = "{}", config: str = "", **objects: str) -> AsyncIterator[AiWorld]:
    """`objects` are files that are there from the beginning, by name."""
    ports = {name: free_port() for name in ("extension", "processor", "metrics")}
    text = CONFIG.read_text().replace("5005", str(ports["extension"]))
    openai, anthropic = ModelServer("openai"), ModelServer("anthropic")
    (root / "p").mkdir()
    async with serving(openai) as first, serving(anthropic) as second, Pipeline(root / "p", parse(text + config)) as p:
        ports |= {"openai": first, "anthropic": second}
        (root / "signing").write_text("s" * 32)
        own = {
            "folder": {"path": str(p.folder), "status": str(p.layout.root / "status")},
            "extension": f"127.0.0.1:{ports['extension']}",
            "processor": {
                "listen": f"127.0.0.1:{ports['processor']}",
                "address": f"127.0.0.1:{ports['processor']}",
                "signingKeyFile": str(root / "signing"),
            },
            "metrics": f"127.0.0.1:{ports['metrics']}",
            "selector": yaml.safe_load(selector),
        }
        (root / "ai-gateway.yaml").write_text(json.dumps(own))
        p.write("class.yaml", CLASS)
        p.write("backends.yaml", backend("openai", first) + "---" + backend("claude", second, "schema: Anthropic"))
        for name, content in objects.items():
            p.write(f"{name}.yaml", content.replace("OPENAI", str(first)).replace("ANTHROPIC", str(second)).replace("PORT", str(p.port)))
        made = AiWorld(p, openai, anthropic, ports)
        await made.start()
        p.nats.start()
        p.start()
        try:
            yield made
        finally:
            openai.go.set()
            anthropic.go.set()
            await made.stop()
