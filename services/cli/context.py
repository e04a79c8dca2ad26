"""Finds the running Headgate that a command is about: its configuration, and through it its bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.cli import exits
from services.cli.output import QUIET, fail
from shared.bus.connection import Bus
from shared.core.sealing import Sealer, SealError
from shared.runtime import load, logs
from shared.runtime.config import EnvoyGateway
from shared.runtime.load import ConfigError

STATE_DIR = Path(".headgate")
CONFIG_NAME = "config.yaml"
CONNECT_SECONDS = 5.0


def configuration(config_path: Path | None, state_dir: Path) -> EnvoyGateway:
    """The given file, or what `headgate up` left in the state folder, or defaults."""
    left = state_dir / CONFIG_NAME
    try:
        return load.load(config_path or (left if left.exists() else None))
    except ConfigError as e:
        fail(str(e), "Mend the field, or leave the file out for the defaults.", exits.USAGE)


def sealer(config_path: Path | None, state_dir: Path) -> Sealer:
    """The keys that seal secret values on the bus, for a command that opens them."""
    files = configuration(config_path, state_dir).bus.sealing_key_files
    try:
        return Sealer.from_files([Path(each) for each in files])
    except (OSError, SealError, ValueError) as e:
        fail(f"bus.sealingKeyFiles: {', '.join(files) or 'none'}: {e}", "What is sealed can be read only with the keys.", exits.USAGE)


@asynccontextmanager
async def bus(config_path: Path | None, state_dir: Path) -> AsyncIterator[Bus]:
    """A connection for a command; ends it with a clear error where NATS does not answer."""
    logs.configure("cli", QUIET)
    settings = configuration(config_path, state_dir).bus
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            made = await Bus.connect(settings, service="cli")
    except TimeoutError:
        fail(
            f"NATS does not answer at {', '.join(settings.urls)}",
            "Is Headgate running? Start it with 'headgate up DIR', or name its configuration with --config-path.",
            exits.UNREACHABLE,
        )
    try:
        yield made
    finally:
        await made.close()
