"""A real SPIRE on this machine, for as long as it is shown: a server, an agent beside the proxies, and who gets which identity.

The agent knows a workload by the user that it runs as. Whatever runs as this user gets the proxy's identity, and only that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from examples.spiffe.identities import Svid

_SERVER = """
server {{
  bind_address = "127.0.0.1"
  bind_port = {port}
  socket_path = "{folder}/server.sock"
  trust_domain = "{domain}"
  data_dir = "{folder}/server"
  log_level = "WARN"
  ca_ttl = "24h"
}}
plugins {{
  DataStore "sql" {{ plugin_data {{ database_type = "sqlite3", connection_string = "{folder}/server.sqlite3" }} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"""
_AGENT = """
agent {{
  server_address = "127.0.0.1"
  server_port = {port}
  socket_path = "{folder}/agent.sock"
  trust_domain = "{domain}"
  data_dir = "{folder}/agent"
  trust_bundle_path = "{folder}/bundle.pem"
  log_level = "WARN"
}}
plugins {{
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"""


class SpireFailed(Exception):
    """A program of SPIRE's did not do what was asked; the text has its words."""


def programs() -> tuple[Path, Path] | None:
    """spire-server and spire-agent: where HEADGATE_SPIRE_SERVER and HEADGATE_SPIRE_AGENT say, or on PATH."""
    found = [os.environ.get(f"HEADGATE_{n.upper().replace('-', '_')}") or shutil.which(n) for n in ("spire-server", "spire-agent")]
    return (Path(found[0]), Path(found[1])) if found[0] and found[1] else None


class Spire:
    """`socket` is the agent's, `bundle` the trust domain's authorities (PEM)."""

    def __init__(self, folder: Path, server: Path, agent: Path, domain: str, port: int) -> None:
        self._folder = folder
        self._server, self._agent = server, agent
        self._domain, self._port = domain, port
        self.socket = folder / "agent.sock"
        self.bundle = ""

    @contextlib.asynccontextmanager
    async def running(self, workload: str, lifetime: int) -> AsyncIterator[Spire]:
        """With an identity for the proxies, whose certificates are good for so many seconds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        async with self._process(self._server, _SERVER, "server"):
            self.bundle = await self._until_answered("bundle", "show")
            (self._folder / "bundle.pem").write_text(self.bundle)
            node = f"spiffe://{self._domain}/node"
            token = (await self._ask("token", "generate", "-spiffeID", node)).split()[-1]
            seconds = ("-x509SVIDTTL", str(lifetime))
            identity = ("-spiffeID", f"spiffe://{self._domain}/{workload}", "-selector", f"unix:uid:{os.getuid()}")
            await self._ask("entry", "create", "-parentID", node, *identity, *seconds)
            async with self._process(self._agent, _AGENT, "agent", "-joinToken", token):
                await self._until_there(self.socket)
                yield self

    async def issue(self, workload: str, *hosts: str) -> Svid:
        """For a backend, which has no agent here."""
        folder = self._folder / workload
        folder.mkdir(parents=True)
        names = [word for host in hosts for word in ("-dns", host)]
        await self._ask("x509", "mint", "-spiffeID", f"spiffe://{self._domain}/{workload}", *names, "-write", str(folder))
        return Svid((folder / "svid.pem").read_text(), (folder / "key.pem").read_text())

    @contextlib.asynccontextmanager
    async def _process(self, program: Path, config: str, name: str, *arguments: str) -> AsyncIterator[None]:
        file = self._folder / f"{name}.conf"
        file.write_text(config.format(folder=self._folder, domain=self._domain, port=self._port))
        with (self._folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                program, "run", "-config", file, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _ask(self, *command: str) -> str:
        """One command of spire-server. Raises SpireFailed."""
        process = await asyncio.create_subprocess_exec(
            self._server,
            *command,
            "-socketPath",
            self._folder / "server.sock",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode != 0:
            raise SpireFailed(f"spire-server {command[0]} {command[1]}: {err.decode().strip() or out.decode().strip()}")
        return out.decode()

    async def _until_answered(self, *command: str) -> str:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(SpireFailed):
                    return await self._ask(*command)
                await asyncio.sleep(0.1)

    async def _until_there(self, socket: Path) -> None:
        try:
            async with asyncio.timeout(30):
                while not socket.exists():  # noqa: ASYNC110  a socket tells nobody that it is there
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise SpireFailed(f"spire-agent has no socket: {(self._folder / 'agent.log').read_text()[-1000:]}") from None
