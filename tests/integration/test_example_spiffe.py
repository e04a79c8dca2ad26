"""The SPIFFE example, end to end: with a plain server of secrets anywhere, and with the real SPIRE where it is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.spiffe import agents, spire
from examples.spiffe.show import show

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="spiffe") as made:
        yield Path(made)


async def test_with_a_plain_server_of_secrets(folder: Path) -> None:
    said: list[str] = []
    async with agents.plain(folder) as agent:
        await show(folder, agent, said.append)
    assert len(said) == 5


@pytest.mark.skipif(
    spire.programs() is None, reason="spire-server and spire-agent are not there (HEADGATE_SPIRE_SERVER, HEADGATE_SPIRE_AGENT)"
)
async def test_with_spire(folder: Path) -> None:
    programs = spire.programs()
    assert programs is not None
    said: list[str] = []
    async with agents.spire(folder / "spire", programs) as agent:
        await show(folder, agent, said.append)
    assert len(said) == 5
