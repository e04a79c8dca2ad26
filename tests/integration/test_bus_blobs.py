"""Contents that are too large for a message, on the real nats-server, with the permissions that services have."""

from __future__ import annotations

import pytest

from shared.bus.blobs import Blobs
from shared.bus.errors import Unavailable
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.conftest import Connect


async def test_a_content_is_there_whole_until_it_is_removed(connect: Connect) -> None:
    writer, reader = Blobs(await connect()), Blobs(await connect())
    await writer.remove_all_but(frozenset())
    assert not await reader.has("one")
    assert await reader.get("one") is None
    large = bytes(range(256)) * 40_000  # ten megabytes: more than a message may have
    await writer.put("one", large)
    await writer.put("two", b"")
    assert await reader.has("one")
    assert await reader.get("one") == large
    assert await reader.get("two") == b""
    await writer.put("one", b"new")
    assert await reader.get("one") == b"new"
    await writer.remove_all_but(frozenset({"two"}))
    assert (await reader.get("one"), await reader.get("two")) == (None, b"")


async def test_without_nats_it_is_said(connect: Connect, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.bus.blobs._PATIENCE", 0.3)
    blobs = Blobs(await connect())
    await blobs.put("one", b"1")
    nats_server.kill()
    with pytest.raises(Unavailable):
        await blobs.get("one")
    nats_server.start()

    async def again() -> bool:
        return await blobs.get("one") == b"1"

    await until(again, 20)
