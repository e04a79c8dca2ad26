"""What stops a service before it starts: told in one sentence that says what to do, never as a traceback."""

from __future__ import annotations

from pathlib import Path

from shared.core.sealing import Sealer, SealError
from shared.runtime.settings import Settings


class CannotStart(Exception):
    """The configuration cannot work here; the text names the field and what to do."""


def sealer(settings: Settings) -> Sealer:
    """The keys that seal secret values on the bus. Raises CannotStart."""
    files = settings.bus.sealing_key_files
    if not files:
        raise CannotStart("bus.sealingKeyFiles: expected at least one key file; 'headgate certgen DIR' makes DIR/bus/key")
    try:
        return Sealer.from_files([Path(p) for p in files])
    except (OSError, SealError, ValueError) as e:
        raise CannotStart(f"bus.sealingKeyFiles: {', '.join(files)}: {e}") from e
