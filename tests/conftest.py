"""Fixtures for tests on the real parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from shared.testing.nats import NatsServer


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A test that runs a command sets logging up for a stream that ends with it."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """The real nats-server with JetStream; `.kill()`, `.restart(wipe=True)`."""
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url
