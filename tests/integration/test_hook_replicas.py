"""Two replicas that share their extension servers' answers: one dies, NATS loses its disk, Gateways and servers come and go."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from random import Random

import pytest

from services.xds_server.hooks.kept import PREFIX
from services.xds_server.render.types import CLUSTER, LISTENER
from shared.bus.table import read_all
from shared.core.refs import GatewayRef
from shared.runtime.config import EnvoyGateway
from shared.runtime.load import parse
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.pipeline import free_port
from tests.integration.replicas import GW, Ground, Noting, Replica, serving

pytestmark = pytest.mark.timeout(90)
OTHER = GatewayRef("default", "other")


def manager(name: str, port: int, hooks: str = "[VirtualHost]", more: str = "timeout: 1s") -> str:
    return f"{{name: {name}, hooks: {{xdsTranslator: {{post: {hooks}}}}}, service: {{ip: {{address: 127.0.0.1, port: {port}}}}}, {more}}}"


def config(*managers: str) -> EnvoyGateway:
    return parse(f"extensionManagers: [{', '.join(managers)}]")


@contextlib.asynccontextmanager
async def two(nats: NatsServer, of: EnvoyGateway) -> AsyncIterator[tuple[Ground, Replica, Replica]]:
    async with Ground(nats.url) as ground:
        await ground.put()
        yield ground, await ground.replica("a", of), await ground.replica("b", of)


async def test_the_one_that_asks_is_killed_and_the_other_takes_over(nats_server: NatsServer) -> None:
    ext, port = Noting(), free_port()
    async with serving(ext, port), two(nats_server, config(manager("ext", port))) as (ground, a, b):
        await ground.agree(a, b, path="/")
        assert len(ext.asked) == 2
        asker, other = (a, b) if a.asks() else (b, a)
        await asker.kill()
        await ground.put(path="/later")
        await ground.agree(other, path="/later")
        again = await ground.replica("c", config(manager("ext", port)))
        await ground.agree(other, again, path="/later")
        assert ext.asked[2:] == ["default/eg/http/h0_example_com /later"]


async def test_answers_outlive_a_bus_that_lost_its_disk(nats_server: NatsServer) -> None:
    """Also those that were only reused since: whoever starts later is told them, and nobody asks again."""
    ext, port = Noting(), free_port()
    of = config(manager("ext", port))
    async with Ground(nats_server.url) as ground:
        async with serving(ext, port):
            await ground.put()
            first = await ground.replica("a", of)
            await ground.agree(first, path="/")
            await first.stop()
        # the server is away from here on
        a, b = await ground.replica("a", of), await ground.replica("b", of)
        await ground.agree(a, b, path="/")
        await until(lambda: a.asks() or b.asks())
        before = a.shown()
        nats_server.restart(wipe=True)
        await until(lambda: _kept(ground, 2), 20)
        late = await ground.replica("late", of)
        await ground.agree(a, b, late, path="/")
        assert late.shown() == before
        assert len(ext.asked) == 2


def _asked(of: Noting, path: str) -> bool:
    return any(each.endswith(path) for each in of.asked)


async def _kept(ground: Ground, number: int) -> bool:
    found = await read_all(ground._bus, "HOOKS", [f"{PREFIX}.>"])
    return sum(not entry.deleted for entry in found.values()) == number


async def test_a_gateway_goes_and_comes_back(nats_server: NatsServer) -> None:
    ext, port = Noting(), free_port()
    async with serving(ext, port), two(nats_server, config(manager("ext", port))) as (ground, a, b):
        await ground.agree(a, b, path="/")
        for n in range(4):
            await ground.remove()
            if n % 2:
                await until(lambda: not a.shown() and not b.shown())
            await ground.put()
            await ground.agree(a, b, path="/")
            await until(lambda: _kept(ground, 2))
        late = await ground.replica("late", config(manager("ext", port)))
        await ground.agree(a, b, late, path="/")
        assert a.faults() == b.faults() == late.faults() == {}
        await ground.remove()
        await until(lambda: _kept(ground, 0))


@pytest.mark.parametrize("open", [False, True], ids=["fails closed", "fails open"])
async def test_a_server_comes_and_goes_in_a_stream_of_edits(nats_server: NatsServer, open: bool) -> None:
    ext, port = Noting(), free_port()
    of = config(manager("ext", port, more=f"timeout: 1s, failOpen: {str(open).lower()}"))
    seen: set[str] = set()
    async with two(nats_server, of) as (ground, a, b):
        async with serving(ext, port):
            await ground.agree(a, b, path="/")
        for n in range(6):
            for edit in range(5):
                await ground.put(path=f"/{n}-{edit}")
                seen |= {each.marks().get("h0.example.com", "gone") for each in (a, b)}
                seen |= {each.marks().get("h1.example.com", "gone") for each in (a, b)}
            if n % 2:
                async with serving(ext, port):
                    await until(functools.partial(_asked, ext, f"/{n}-4"))
            else:
                await until(lambda: "ext" in a.faults() or "ext" in b.faults())
        await ground.put(path="/last")
        async with serving(ext, port):
            await ground.agree(a, b, path="/last", deadline=20)
            await until(lambda: a.faults() == b.faults() == {})
    assert "gone" not in seen, "what was shown once was always shown"
    assert open or "" not in seen, "nothing went out that the server had not seen"
    assert len(ext.asked) == len(set(ext.asked)), "nothing was asked twice that was answered"


async def test_one_that_hangs_holds_nobody_else_up(nats_server: NatsServer) -> None:
    ext, port = Noting(), free_port()
    other, other_port = Noting("other"), free_port()
    of = config(manager("ext", port), manager("other", other_port, more="timeout: 1s, failOpen: true"))
    async with serving(ext, port), serving(other, other_port), two(nats_server, of) as (ground, a, b):
        await ground.put(gateway=OTHER)
        await ground.agree(a, b, path="/")
        await ground.agree(a, b, path="/", gateway=OTHER)
        other.silent = True
        await ground.put(path="/new")
        await ground.agree(a, b, path="/new")
        assert a.marks(header="x-other") == {"h0.example.com": "", "h1.example.com": "/"}
        await until(lambda: list(a.faults()) == list(b.faults()) == ["other"])
        assert a.faults(OTHER) == b.faults(OTHER) == {}
        assert a.marks(OTHER, "x-other") == {"h0.example.com": "/", "h1.example.com": "/"}


async def test_nobody_complains_of_what_is_gone(nats_server: NatsServer) -> None:
    ext, port = Noting(), free_port()
    async with serving(ext, port), two(nats_server, config(manager("ext", port, more="timeout: 300ms"))) as (ground, a, b):
        await ground.agree(a, b, path="/")
        ext.silent = True
        await ground.put(routes=3)
        await until(lambda: a.faults() and b.faults())
        await ground.put(routes=2)
        await until(lambda: a.faults() == b.faults() == {})


async def test_an_answer_that_cannot_be_kept_is_none_for_all(nats_server: NatsServer) -> None:
    ext, port = Noting(), free_port()
    async with serving(ext, port), two(nats_server, config(manager("ext", port, more="maxMessageSize: 60M"))) as (ground, a, b):
        await ground.agree(a, b, path="/")
        before = a.shown()
        ext.padding = 1500
        await ground.put(path="/large")
        await until(lambda: "kept" in a.faults().get("ext", "") + b.faults().get("ext", ""))
        await until(lambda: a.faults() and b.faults(), 15)
        assert a.shown() == b.shown() == before


async def test_all_clusters_deleted(nats_server: NatsServer) -> None:
    """What a translation leaves out goes, of what it was given; the rest and other Gateways stay."""
    ext, port = Noting(), free_port()
    async with serving(ext, port), two(nats_server, config(manager("ext", port, "[Translation]"))) as (_, a, b):
        await until(lambda: a.shown() and a.shown() == b.shown())
        kinds = {url for url, _ in a.shown()}
        assert CLUSTER not in kinds
        assert LISTENER in kinds
        assert ext.asked == ["translate"]


async def test_servers_in_another_order(nats_server: NatsServer) -> None:
    """An answer to what another server left off is no stand-in where the order is another."""
    x, y = Noting("x"), Noting("y")
    at_x, at_y = free_port(), free_port()
    first, other = config(manager("x", at_x), manager("y", at_y)), config(manager("y", at_y), manager("x", at_x))
    async with Ground(nats_server.url) as ground:
        await ground.put()
        async with serving(x, at_x), serving(y, at_y):
            a = await ground.replica("a", first)
            await until(lambda: a.marks(header="x-y") == {"h0.example.com": "/", "h1.example.com": "/"})
            await a.stop()
        b = await ground.replica("b", other)
        await until(b.faults)
        await ground.put(path="/later")
        await until(lambda: b.server._gateways[GW].asks() == frozenset())
        assert b.shown() == {}, "what only one of them has seen is not shown"
        await ground.put()
        async with serving(x, at_x), serving(y, at_y):
            await until(lambda: b.marks(header="x-x") == b.marks(header="x-y") == {"h0.example.com": "/", "h1.example.com": "/"})


async def test_a_server_that_was_never_heard_takes_nothing_away(nats_server: NatsServer) -> None:
    """One more server in the configuration, and it is not there yet: proxies keep what they have, they are not told of less."""
    x, y = Noting("x"), Noting("y")
    at_x, at_y = free_port(), free_port()
    async with Ground(nats_server.url) as ground, serving(x, at_x):
        await ground.put()
        a = await ground.replica("a", config(manager("x", at_x)))
        await until(lambda: a.marks(header="x-x") == {"h0.example.com": "/", "h1.example.com": "/"})
        await a.stop()
        b = await ground.replica("b", config(manager("x", at_x), manager("y", at_y)))
        await until(lambda: list(b.faults()) == ["y"])
        await ground.put(path="/later")
        await until(lambda: _asked(x, "/later"))
        assert b.shown() == {}
        async with serving(y, at_y):
            await until(lambda: b.marks(header="x-y") == {"h0.example.com": "/later", "h1.example.com": "/"})
        # known now: what is new waits for it, and nothing else
        await ground.put(routes=3, path="/later")
        await until(lambda: list(b.faults()) == ["y"])
        assert b.marks(header="x-y") == {"h0.example.com": "/later", "h1.example.com": "/"}
        c = await ground.replica("c", config(manager("x", at_x), manager("y", at_y)))
        await until(lambda: c.marks(header="x-y") == {"h0.example.com": "/later", "h1.example.com": "/"}, 15)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_in_the_end_all_show_the_same(nats_server: NatsServer, seed: int) -> None:
    random = Random(seed)
    ext, port = Noting(), free_port()
    of = config(manager("ext", port, more=f"timeout: 500ms, failOpen: {str(seed % 2 == 0).lower()}"))
    async with Ground(nats_server.url) as ground, contextlib.AsyncExitStack() as up:
        await up.enter_async_context(serving(ext, port))
        await ground.put()
        alive = [await ground.replica("a", of), await ground.replica("b", of)]
        for step in range(8):
            match random.choice(["edit", "edit", "back", "kill", "wipe", "silent", "well", "away", "there", "gone"]):
                case "edit":
                    await ground.put(routes=random.choice([1, 2, 3]), path=f"/{step}")
                case "back":
                    await ground.put()
                case "kill":
                    await alive.pop(0).kill()
                    alive.append(await ground.replica(f"r{step}", of))
                case "wipe":
                    nats_server.restart(wipe=True)
                case "silent":
                    ext.silent = True
                case "well":
                    ext.silent = False
                case "away":
                    await up.aclose()
                case "there":
                    await up.aclose()
                    await up.enter_async_context(serving(ext, port))
                case "gone":
                    await ground.remove()
                    await ground.put()
        await up.aclose()
        ext.silent = False
        await up.enter_async_context(serving(ext, port))
        await ground.put(routes=3, path="/end")
        await ground.agree(*alive, path="/end", deadline=30)
        await until(lambda: alive[0].marks() == {"h0.example.com": "/end", "h1.example.com": "/", "h2.example.com": "/"}, 20)
        await until(lambda: [each.faults() for each in alive] == [{}, {}], 20)
        late = await ground.replica("late", of)
        await ground.agree(*alive, late, path="/end")
