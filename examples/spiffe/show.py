"""What is to be seen, step by step, with a whole Headgate: plain TLS first, then identities, then certificates that change."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from examples.spiffe.agents import DOMAIN, WORKLOAD, Agent
from examples.spiffe.backend import backend
from examples.spiffe.extension import Spiffe
from examples.spiffe.resources import CONFIG, Resources
from shared.extension.server import ExtensionServer

IDENTITY = f"spiffe://{DOMAIN}/{WORKLOAD}"
CERTIFICATES = 3
"""So many different ones of the proxy are waited for, and so two changes."""


class NotSeen(Exception):
    """Something did not come true in time."""


class Answer(NamedTuple):
    """`client` is the SPIFFE ID that the backend saw, `certificate` its certificate's serial number."""

    status: int
    client: str | None = None
    certificate: str | None = None


async def show(folder: Path, agent: Agent, say: Callable[[str], None]) -> None:
    """Raises NotSeen. `folder` is for everything that is written meanwhile."""
    resources = Resources(folder / "resources")
    port = _port()
    async with contextlib.AsyncExitStack() as stack:
        for name in ("right", "wrong"):
            svid = await agent.issue(name, f"{name}.example.org")
            resources.backend(name, await stack.enter_async_context(backend(folder, name, svid, agent.bundle)))
        resources.gateway(port, agent.bundle)
        extension = folder / "ext.sock"
        await stack.enter_async_context(ExtensionServer(Spiffe(str(agent.socket)), f"unix:{extension}"))
        (folder / "config.yaml").write_text(CONFIG.format(socket=extension))
        await stack.enter_async_context(_headgate(folder, folder / "resources"))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5))
        await _steps(client, resources, say)


async def _steps(client: httpx.AsyncClient, resources: Resources, say: Callable[[str], None]) -> None:
    for name in ("right", "wrong"):
        await _until(client, f"/{name}", "plain TLS", lambda a: a.status == 200 and a.client is None, 60)
    say("✓ without a policy: plain TLS, backends see no certificate")

    resources.policy("HTTPRoute", "right", "right")
    await _until(client, "/right", "the proxy's identity", lambda a: a.client == IDENTITY)
    if (other := await _ask(client, "/wrong")) != Answer(200):
        raise NotSeen(f"the other route was to stay as it was: {other}")
    say(f"✓ a policy on a route: its backend sees {IDENTITY}, the other route is as before")

    resources.policy("Gateway", "gateway", "right")
    await _until(client, "/wrong", "a backend refused", lambda a: a.status == 503)
    if (first := await _ask(client, "/right")).client != IDENTITY:
        raise NotSeen(f"the right backend was to be reached: {first}")
    say("✓ a policy on the Gateway: a backend with another identity is refused, the right one is reached")

    sent = await _rotated(client)
    say(f"✓ {CERTIFICATES} certificates of the proxy one after the other, {sent} requests, none failed")

    resources.no_policy()
    for name in ("right", "wrong"):
        await _until(client, f"/{name}", "plain TLS again", lambda a: a.status == 200 and a.client is None)
    say("✓ without the policy: plain TLS again")


async def _rotated(client: httpx.AsyncClient) -> int:
    """How many requests it took to see so many certificates."""
    seen: set[str | None] = set()
    sent = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while len(seen) < CERTIFICATES:
                answer = await _ask(client, "/right")
                if (answer.status, answer.client) != (200, IDENTITY):
                    raise NotSeen(f"request {sent + 1} failed while certificates changed: {answer}")
                seen.add(answer.certificate)
                sent += 1
                await asyncio.sleep(0.02)
            return sent
    raise NotSeen(f"certificates that change: {len(seen)} seen in 60 s, {CERTIFICATES} expected")


async def _until(client: httpx.AsyncClient, path: str, what: str, true: Callable[[Answer], bool], deadline: float = 30) -> None:
    last: Any = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deadline):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    last = await _ask(client, path)
                    if true(last):
                        return
                await asyncio.sleep(0.05)
    raise NotSeen(f"{what}: not so within {deadline:.0f} s, the last answer of {path} was {last}")


async def _ask(client: httpx.AsyncClient, path: str) -> Answer:
    found = await client.get(path)
    if found.status_code != httpx.codes.OK:
        return Answer(found.status_code)
    body = found.json()
    return Answer(200, body["client"], body["certificate"])


@contextlib.asynccontextmanager
async def _headgate(folder: Path, resources: Path) -> AsyncIterator[None]:
    """`headgate up`, as a user starts it."""
    arguments = ("up", str(resources), "--config-path", str(folder / "config.yaml"), "--state-dir", str(folder / "state"))
    with (folder / "headgate.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli.main", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    except NotSeen as e:
        tail = "\n  ".join((folder / "headgate.log").read_text().splitlines()[-10:])
        raise NotSeen(f"{e}\nThe end of headgate's output:\n  {tail}") from e
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
