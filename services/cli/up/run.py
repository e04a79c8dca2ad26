"""Runs `headgate up`: prepares the state folder, starts the children in order, says what is running, and stops all of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
from rich.text import Text

from services.cli import exits
from services.cli.certgen import SEALING_KEY, generate
from services.cli.output import QUIET, err, out, plain
from services.cli.up import children, plan
from services.cli.up.children import Keeper
from services.cli.up.plan import Layout
from services.infra_manager.providers.host import stop_left_behind
from shared.bus import server_config
from shared.bus.connection import Bus
from shared.bus.table import read_all
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.runtime import logs
from shared.runtime.binaries import BinaryNotFound, find
from shared.runtime.config import EnvoyGateway
from shared.runtime.settings import SERVICES, WASM_PORT, XDS_PORT
from shared.runtime.waiting import Stopped, or_stopped

START_SECONDS = 30.0
POLL_SECONDS = 0.05


class UpOptions(NamedTuple):
    folder: Path
    config: EnvoyGateway
    state_dir: Path
    backend_port: int | None
    nats_port: int
    verbose: bool


class CannotStart(Exception):
    """Says what is in the way and what to do."""


def run(options: UpOptions) -> int:
    """The command's exit code."""
    logs.configure("up", QUIET)
    children.adopt_orphans()
    try:
        return asyncio.run(_main(options))
    except (CannotStart, BinaryNotFound) as e:
        err.print(f"[red]error:[/red] {plain(str(e))}")
        return exits.FAILED
    except OSError as e:
        if e.filename is None or not Path(e.filename).is_relative_to(options.state_dir):
            raise
        err.print(f"[red]error:[/red] {plain(str(e.filename))} cannot be written: {e.strerror}. Give --state-dir another folder.")
        return exits.FAILED


async def _main(options: UpOptions) -> int:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    layout = Layout(options.state_dir)
    with _alone(layout):
        keepers = _prepare(options, layout)
        try:
            await or_stopped(stop, _start(options, layout, keepers))
            await stop.wait()
        except Stopped:
            pass
        finally:
            out.print("\nstopping …")
            for keeper in reversed(keepers):
                await keeper.stop()
            stop_left_behind(layout.root)
            children.reap()
            shutil.rmtree(layout.notes, ignore_errors=True)
    out.print("stopped; nothing is left running")
    return exits.OK


@contextlib.contextmanager
def _alone(layout: Layout) -> Any:
    """One `up` for each state folder."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with open(layout.root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise CannotStart(
                f"{layout.root} is in use by another 'headgate up'. Stop that one, or give --state-dir another folder."
            ) from e
        yield


def _prepare(options: UpOptions, layout: Layout) -> list[Keeper]:
    nats_server, _ = find("nats-server"), find("envoy")
    if options.backend_port and not _free(options.backend_port):
        raise CannotStart(
            f"port {options.backend_port} of the example backend is taken. Stop what uses it, or name another with --backend-port."
        )
    stop_left_behind(layout.root)
    shutil.rmtree(layout.notes, ignore_errors=True)
    layout.logs.mkdir(exist_ok=True)
    generate(layout.certs)
    nats_port = options.nats_port if _free(options.nats_port) else _any_port()
    xds_port, wasm_port = (port if _free(port) else _any_port() for port in (XDS_PORT, WASM_PORT))
    layout.nats_config.write_text(server_config.render(store_dir=str(layout.nats_store), port=nats_port))
    layout.config.write_text(plan.text(plan.configuration(options.config, options.folder, layout, nats_port, layout.certs / SEALING_KEY)))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    planned = plan.children(layout, nats_server, xds_port, wasm_port, options.backend_port)
    return [Keeper(c, layout.logs / f"{c.name}.log", environment, options.verbose) for c in planned]


async def _start(options: UpOptions, layout: Layout, keepers: list[Keeper]) -> None:
    from shared.runtime import load

    bus_settings = load.load(layout.config).bus
    services = [k for k in keepers if k.child.name in SERVICES]
    for keeper in keepers:
        if keeper not in services:
            keeper.start()
    out.print(f"[bold]Headgate[/bold] on {plain(str(options.folder))}")
    bus: Bus = await _step("NATS with JetStream", Bus.connect(bus_settings, service="up"), keepers[0])
    try:
        for keeper in services:
            keeper.start()
        for keeper in services:
            await _step(keeper.child.name, _ready(layout, keeper.child.name), keeper)
        infra = next(k for k in services if k.child.name == "infra-manager")
        addresses = await _step("Envoy", _addresses(bus), infra, lambda found: f"{len(found)} Gateway{'' if len(found) == 1 else 's'}")
    finally:
        await bus.close()
    _tell(options, layout, addresses)


async def _step(name: str, work: Coroutine[Any, Any, Any], keeper: Keeper, note: Callable[[Any], str] = lambda _: "") -> Any:
    """One line of progress; CannotStart with the end of the child's log where it takes too long."""
    with err.status(f"starting {name} …") if err.is_terminal else contextlib.nullcontext():
        try:
            async with asyncio.timeout(START_SECONDS):
                result = await work
        except TimeoutError as e:
            tail = "\n  ".join(keeper.log_file.read_text(errors="replace").splitlines()[-5:]) if keeper.log_file.exists() else ""
            raise CannotStart(f"{name} was not ready within {START_SECONDS:.0f} s. The end of {keeper.log_file}:\n  {tail}") from e
    line = Text("  ✓ ", style="green")
    line.append(f"{name:<20} ", style="default")
    line.append(note(result) or (f"pid {keeper.pid}" if keeper.pid else ""), style="dim")
    out.print(line)
    return result


async def _ready(layout: Layout, service: str) -> None:
    note = layout.notes / f"{service}.json"
    async for _ in _ticks():
        if not note.exists():
            continue
        url = json.loads(note.read_text())["ops"] + "/readyz"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session, session.get(url) as answer:
                if answer.status == 200:
                    return


async def _addresses(bus: Bus) -> dict[str, list[str]]:
    """Gateway -> URLs, once every fleet is ready or says why not."""
    async for _ in _ticks():
        wanted = {s.removeprefix("ir.infra."): e for s, e in (await read_all(bus, "IR", ["ir.infra.>"])).items() if not e.deleted}
        found = {
            s.removeprefix("status.infra."): e for s, e in (await read_all(bus, "STATUS", ["status.infra.>"])).items() if not e.deleted
        }
        states = {name: msgspec.json.decode(e.value, type=InfraStatus) for name, e in found.items()}
        if all(name in states and (states[name].ready or states[name].message) for name in wanted):
            return {
                f"{name.replace('.', '/')}": _urls(msgspec.json.decode(e.value, type=Infra), states[name])
                for name, e in sorted(wanted.items())
            }
    raise AssertionError("the ticks never end")


def _urls(infra: Infra, status: InfraStatus) -> list[str]:
    if infra.proxy is None or not status.ready:
        return [f"not ready: {status.message}"]
    ports = [p for listener in infra.proxy.listeners for p in listener.ports]
    return [f"{'https' if p.protocol in ('HTTPS', 'TLS') else 'http'}://127.0.0.1:{p.container_port}/" for p in ports]


def _tell(options: UpOptions, layout: Layout, addresses: dict[str, list[str]]) -> None:
    out.print("\n[bold]Gateways[/bold]")
    for name, urls in addresses.items():
        out.print(f"  {name}  {'  '.join(urls)}")
    if not addresses:
        out.print("  none yet: add a GatewayClass and a Gateway to the folder")
    first = next((u for urls in addresses.values() for u in urls if u.startswith("http")), "")
    state = "" if layout.root == Path.cwd() / ".headgate" else f" --state-dir {layout.root}"
    out.print("\n[bold]Try[/bold]")
    if first:
        out.print(f"  curl -i {first}")
    out.print(f"  change a file in {plain(str(options.folder))}, and ask again")
    out.print("\n[bold]Look inside[/bold]")
    program = _program()
    for command, what in (
        (f"{program} status{state}", "what runs, what is behind, what is wrong"),
        (f"{program} tap 'ir.>'{state}", "the IR as it changes"),
        (f"{program} history {next(iter(addresses), 'NS/NAME')}{state}", "every version, and what caused it"),
    ):
        out.print(f"  {command:<48} [dim]{what}[/dim]")
    out.print(f"  logs are in {plain(str(layout.logs))}\n\nCtrl-C stops everything.")


def _program() -> str:
    """What to type to get this program again: its path, unless it is found without."""
    here = Path(sys.argv[0])
    near = os.path.relpath(here)
    return near if here.name == "headgate" and not near.startswith("..") else "headgate"


async def _ticks() -> AsyncIterator[None]:
    while True:
        yield
        await asyncio.sleep(POLL_SECONDS)


def _free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
