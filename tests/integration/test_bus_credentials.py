"""A NATS that asks for decentralised credentials (operator, account and user JWTs; a .creds file), as managed ones do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys
import pytest

from shared.bus.connection import Bus
from shared.bus.settings import BusSettings
from shared.bus.table import TableWriter, read_all
from shared.runtime.binaries import find
from shared.testing.ports import free_port
from shared.testing.wait import until

_ANY = {"subs": -1, "conn": -1, "leaf": -1, "imports": -1, "exports": -1, "data": -1, "payload": -1, "wildcards": True}
_JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class Identity:
    def __init__(self, prefix: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), prefix))
        self.key = nkeys.from_seed(bytearray(self.seed))
        self.public = self.key.public_key.decode()

    def sign(self, subject: str, name: str, kind: str, claims: dict[str, Any]) -> str:
        body: dict[str, Any] = {"iat": int(time.time()), "iss": self.public, "name": name, "sub": subject}
        body["nats"] = {**claims, "type": kind, "version": 2}
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        text = f"{_b64(json.dumps({'typ': 'JWT', 'alg': 'ed25519-nkey'}).encode())}.{_b64(json.dumps(body).encode())}"
        return f"{text}.{_b64(self.key.sign(text.encode()))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


async def test_a_credentials_file_opens_the_door_and_nothing_else_does(tmp_path: Path) -> None:
    operator, system, account, user = (
        Identity(p) for p in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER)
    )
    accounts = {
        system.public: operator.sign(system.public, "SYS", "account", {"limits": _ANY}),
        account.public: operator.sign(account.public, "HEADGATE", "account", {"limits": {**_ANY, **_JETSTREAM}}),
    }
    own = operator.sign(operator.public, "test", "operator", {"system_account": system.public})
    token = account.sign(user.public, "translator", "user", {"subs": -1, "data": -1, "payload": -1})
    credentials = tmp_path / "translator.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    port = free_port()
    preload = "\n".join(f"  {key}: {jwt}" for key, jwt in accounts.items())
    (tmp_path / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\noperator: {own}\nsystem_account: {system.public}\nresolver: MEMORY\n'
        f'resolver_preload: {{\n{preload}\n}}\njetstream {{ store_dir: "{tmp_path}/store" }}\n'
    )
    with (tmp_path / "log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(str(find("nats-server")), "-c", str(tmp_path / "nats.conf"), stderr=log)
    try:
        await until(lambda: "Server is ready" in (tmp_path / "log").read_text())
        url = f"nats://127.0.0.1:{port}"
        async with asyncio.timeout(15):
            bus = await Bus.connect(BusSettings(urls=(url,), credentials_file=str(credentials)))
        try:
            async with TableWriter(bus, "facts") as table:
                await table.put({"facts.test.a": b"{}"})
            assert (await read_all(bus, "FACTS", ["facts.>"])).keys() == {"facts.test.a"}
        finally:
            await bus.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await Bus.connect(BusSettings(urls=(url,)))
    finally:
        server.terminate()
        await server.wait()
