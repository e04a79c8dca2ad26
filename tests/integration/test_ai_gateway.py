"""The AI gateway with real HTTP, through Envoy, to two model servers: models, words, keys, streams, costs."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from examples.ai_gateway.model_server import ModelServer, serving
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.integration import limiting
from tests.integration.ai import CHAT, AiWorld, ai_world, backend, gateway, route, secret
from tests.integration.authority import Authority, pem
from tests.integration.limiting import Ports
from tests.integration.pipeline import echo

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
RULES = """
  - {models: ['gpt-*'], backends: [{name: openai}]}
  - {models: [claude], backends: [{name: claude, model: claude-sonnet}]}
  - {models: [two], backends: [{name: openai, model: gpt-4o}, {name: claude, model: claude-sonnet}]}
  - {models: [own], backends: [{name: generic}]}
"""
NAMESPACE = "ai-gateway.envoyproxy.io"
PROXY = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: proxy}
spec:
  extraArgs: [--file-flush-interval-msec, "100"]
  telemetry:
    accessLog:
      settings:
      - format: {type: JSON, json: {tokens: "%DYNAMIC_METADATA(NAME:total_tokens)%", backend: "%DYNAMIC_METADATA(NAME:backend)%"}}
        sinks: [{type: File, file: {path: ROOT/access.log}}]
"""
LIMIT = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: tokens}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: chat-ai}]
  rateLimit:
    global:
      rules:
      - clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]
        limit: {requests: 20, unit: Hour}
        cost:
          request: {from: Number, number: 0}
          response: {from: Metadata, metadata: {namespace: NAME, key: total_tokens}}
"""
GENERIC = "schema: Generic\n  generic: {path: /ask, modelField: /options/model, usage: {input: /cost/read, output: /cost/wrote/0}}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AiWorld]:
    root: Path = tmp_path_factory.mktemp("ai")
    ports = Ports(config=free_port(), service=free_port())
    limits = {
        "backend": {"type": "Redis", "redis": {"url": "127.0.0.1:1"}},
        "url": f"grpc://127.0.0.1:{ports.service}",
        "configPort": ports.config,
    }
    config = f"rateLimit: {json.dumps(limits)}\n"
    infrastructure = "infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy}}"
    objects = {
        "gateway": gateway("default", "gw", "PORT", more=infrastructure),
        "route": route(RULES),
        "proxy": PROXY.replace("NAME", NAMESPACE).replace("ROOT", str(root)),
        "limit": LIMIT.replace("NAME", NAMESPACE),
        "generic": backend("generic", "OPENAI", GENERIC),
    }
    async with ai_world(root, config=config, **objects) as made, limiting.own(ports, made.p.layout.certs):
        await made.answers("gpt-4o", x_server="openai")
        yield made


@pytest.fixture(autouse=True)
def _whole(world: AiWorld) -> None:
    world.openai.broken = world.anthropic.broken = 0
    world.openai.speaks = "openai"


async def test_the_model_picks_the_backend_and_its_words(world: AiWorld) -> None:
    found = (await world.ask("gpt-4o")).json()
    assert found["choices"][0]["message"]["content"] == "I have no idea"
    assert world.openai.seen[-1][0] == CHAT
    found = (await world.ask("claude")).json()
    assert found["object"] == "chat.completion"
    assert found["usage"] == {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    path, headers, body = world.anthropic.seen[-1]
    assert (path, body["model"]) == ("/v1/messages", "claude-sonnet")
    assert headers["anthropic-version"]
    assert headers["host"].startswith("127.0.0.1")
    assert not [name for name in headers if name.startswith("x-ai-gateway")]


async def test_a_backend_with_words_of_its_own(world: AiWorld) -> None:
    world.openai.speaks = "generic"
    found = await world.ask("own", options={"deep": 1})
    assert found.json()["text"] == "I have no idea"
    path, _, body = world.openai.seen[-1]
    assert (path, body["options"]) == ("/ask", {"deep": 1, "model": "own"})
    assert "model" not in body
    metrics = await world.metrics()
    assert metrics['ai_gateway_tokens_total{backend="default/generic",kind="output",model="own",route="default/chat"}'] == 3


async def test_what_cannot_be_routed_is_refused_in_clear_words(world: AiWorld) -> None:
    found = await world.ask("nobody-has-this")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "model_not_found")
    at = f"http://127.0.0.1:{world.p.port}{CHAT}"
    for content, word in ((b"{", "JSON"), (b"[]", "JSON"), (b"{}", "model"), (b'{"model": 1}', "model")):
        answer = await world.p.client.post(at, content=content)
        assert (answer.status_code, word in answer.json()["error"]["message"]) == (400, True)
    assert (await world.p.client.get(at)).status_code == 400
    before = len(world.openai.seen)
    found = await world.ask("nobody-has-this", headers={"x-ai-gateway-model": "gpt-4o"})
    assert (found.status_code, len(world.openai.seen)) == (404, before), "a client does not say where it goes"
    assert (await world.ask("claude", path="/v1/embeddings")).status_code == 400


async def test_large_requests_pass(world: AiWorld) -> None:
    found = await world.ask("gpt-4o", padding="x" * 3_000_000)
    assert found.status_code == 200
    assert len(world.openai.seen[-1][2]["padding"]) == 3_000_000
    assert (await world.ask("claude", messages=[{"role": "user", "content": "x" * 3_000_000}])).status_code == 200


@pytest.mark.parametrize("model", ["gpt-4o", "claude"])
async def test_streams_pass_as_streams(world: AiWorld, model: str) -> None:
    server = world.openai if model == "gpt-4o" else world.anthropic
    server.go.clear()
    asked = {"model": model, "messages": [{"role": "user", "content": "why?"}], "stream": True}
    async with world.p.client.stream("POST", f"http://127.0.0.1:{world.p.port}{CHAT}", json=asked) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.aiter_lines()
        events: list[Any] = []
        async for line in lines:
            events += [json.loads(line[6:])] if line.startswith("data: {") else []
            if "I " in str(events):
                # the server has not said the rest yet
                server.go.set()
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    assert text == "I have no idea"
    assert line == "" or line == "data: [DONE]"
    assert all(e["choices"] for e in events), "what it cost is told to those who ask for it"
    found = await world.ask(model, stream=True, stream_options={"include_usage": True})
    assert '"total_tokens": 14' in found.text or '"total_tokens": 25' in found.text


async def test_what_it_costs_is_counted_and_logged(world: AiWorld) -> None:
    name = 'ai_gateway_tokens_total{backend="default/claude",kind="input",model="claude",route="default/chat"}'
    before = (await world.metrics()).get(name, 0)
    await world.ask("claude")
    await world.ask("claude", stream=True)

    async def counted() -> bool:
        return (await world.metrics())[name] == before + 40

    await until(counted, 20)
    log = world.p.root.parent / "access.log"

    def lines() -> list[Any]:
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    await until(lambda: [e for e in lines() if e["backend"] == "default/claude" and int(e["tokens"]) == 25][1:], 20)
    assert 'status="200"' in "".join(k for k in await world.metrics() if k.startswith("ai_gateway_requests_total"))


async def test_tokens_are_charged_by_the_global_rate_limit(world: AiWorld) -> None:
    """14 tokens a request, 20 an hour: the second one begins while there is something left, the third does not."""

    async def refused() -> bool:
        return (await world.ask("gpt-4o", headers={"x-user": "probe"})).status_code == 429

    await until(refused, 30)
    statuses = [(await world.ask("gpt-4o", headers={"x-user": "one"})).status_code for _ in range(2)]
    assert statuses == [200, 200]

    async def over() -> bool:
        return (await world.ask("gpt-4o", headers={"x-user": "one"})).status_code == 429

    await until(over, 15)
    assert (await world.ask("gpt-4o", headers={"x-user": "another"})).status_code == 200


async def test_a_failed_backend_falls_over_to_the_next_in_its_own_words(world: AiWorld) -> None:
    assert (await world.ask("two")).headers["x-server"] == "openai"
    for status in (500, 503, 429):
        world.openai.broken = status
        before = len(world.openai.seen)
        found = await world.ask("two")
        assert (found.status_code, found.headers["x-server"]) == (200, "anthropic")
        assert len(world.openai.seen) == before + 1
        assert world.anthropic.seen[-1][2]["model"] == "claude-sonnet"
    world.openai.broken = 400
    assert (await world.ask("two")).status_code == 400, "what is the client's fault is not tried elsewhere"
    world.openai.broken = 500
    world.anthropic.broken = 529
    assert (await world.ask("two")).status_code in (500, 529)


async def test_backends_over_tls_and_one_that_is_away(world: AiWorld, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("models.example.com", "127.0.0.1")
    for name, text in (("c", certificate), ("k", key)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    server = ModelServer("openai", "over-tls")
    async with serving(server, tls=context) as port:
        ca = json.dumps(pem(authority.certificate))
        objects = [
            backend("by-name", port, f"tls: {{hostname: models.example.com, caCertificate: {ca}}}"),
            backend("by-address", port, f"tls: {{caCertificate: {ca}}}"),
            backend("another", port, f"tls: {{hostname: other.example.com, caCertificate: {ca}}}"),
            backend("away", free_port()),
        ]
        names = ("by-name", "by-address", "another", "away")
        rules = [{"models": [name], "backends": [{"name": name}]} for name in names]
        rules.append({"models": ["away-first"], "backends": [{"name": "away"}, {"name": "another"}, {"name": "by-name"}]})
        world.p.write("tls.yaml", "---".join((*objects, route(json.dumps(rules), "tls"))))
        await world.answers("by-name", x_server="over-tls")
        assert server.seen[-1][1]["host"] == "models.example.com"
        await world.answers("by-address", x_server="over-tls")
        await world.answers("another", 503)
        await world.answers("away", 503)
        assert (await world.ask("away-first")).headers["x-server"] == "over-tls", "the third, where two cannot be reached"


async def test_many_at_once_get_each_their_own_answer(world: AiWorld) -> None:
    async def one(n: int) -> bool:
        model = ("gpt-4o", "claude")[n % 2]
        found = await world.ask(model, stream=n % 3 == 0, messages=[{"role": "user", "content": f"question {n}"}])
        return found.status_code == 200 and found.headers["x-server"] == ("openai", "anthropic")[n % 2]

    assert all(await asyncio.gather(*(one(n) for n in range(60))))
    asked = {str(body["messages"][-1]["content"]) for _, _, body in (*world.openai.seen, *world.anthropic.seen)}
    assert all(any(f"question {n}'" in text or text == f"question {n}" for text in asked) for n in range(60))


async def test_while_the_ai_gateway_is_away_its_routes_fail_and_no_others(world: AiWorld) -> None:
    async with echo("plain") as port:
        world.p.backend("plain", port)
        world.p.route("plain", "plain", path="/plain")

        async def served() -> bool:
            return (await world.p.get("/plain")).text == "plain"

        await until(served, 20)
        await world.stop()
        assert (await world.ask("gpt-4o")).status_code >= 500
        assert await served()
        await world.start()
        await world.answers("gpt-4o", x_server="openai")


async def test_keys_come_from_secrets_and_follow_them(world: AiWorld) -> None:
    with_key = "credentials: {secretRef: {name: keys}}"
    port = world.ports["openai"]
    world.p.write(
        "keyed.yaml",
        backend("keyed", port, with_key) + "---" + backend("claude-keyed", world.ports["anthropic"], with_key + "\n  schema: Anthropic"),
    )
    world.p.write(
        "keyed-route.yaml",
        route("[{models: [keyed], backends: [{name: keyed}]}, {models: [ckeyed], backends: [{name: claude-keyed}]}]", "keyed"),
    )
    found = await world.answers("keyed", 503)
    assert "no credentials" in found.json()["error"]["message"]
    (accepted, resolved) = await until(lambda: world.status("keyed", "AIBackend").get("conditions"), 10)
    assert (accepted["status"], resolved["status"], resolved["reason"]) == ("True", "False", "InvalidCredentials")
    world.p.write("keys.yaml", secret("keys", "sk-one"))
    await world.answers("keyed", 200)
    await world.ask("keyed", headers={"authorization": "Bearer the-clients-own"})
    assert world.openai.seen[-1][1]["authorization"] == "Bearer sk-one"
    await world.ask("ckeyed", headers={"authorization": "Bearer the-clients-own"})
    headers = world.anthropic.seen[-1][1]
    assert (headers["x-api-key"], headers.get("authorization")) == ("sk-one", None)
    world.p.write("keys.yaml", secret("keys", "sk-two"))

    async def rotated() -> bool:
        await world.ask("keyed")
        return world.openai.seen[-1][1]["authorization"] == "Bearer sk-two"

    await until(rotated, 10)
    dump = (world.p.layout.root / "logs").rglob("*.log")
    assert not [f for f in (*dump, world.log) if "sk-one" in f.read_text()]


async def test_an_object_that_cannot_be_used_says_so_and_the_others_go_on(world: AiWorld) -> None:
    world.p.write("bad.yaml", route("[{models: [bad], backends: []}]", "bad"))
    (condition,) = await until(lambda: world.status("bad").get("conditions"), 10)
    assert (condition["status"], condition["message"]) == ("False", "spec.rules[0].backends: expected at least one")
    assert (await world.ask("gpt-4o")).status_code == 200
    assert (await world.metrics())['ai_gateway_invalid{kind="AIRoute",object="default/bad"}'] == 1
