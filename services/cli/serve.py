"""One of the four services as a process. Each is imported only when it is the one that runs."""

from __future__ import annotations

import importlib

from services.cli import exits
from services.cli.output import err, plain
from shared.runtime.process import run
from shared.runtime.settings import Settings

_MODULES = {
    "resource-watcher": "services.resource_watcher.service",
    "translator": "services.translator.service",
    "xds-server": "services.xds_server.service",
    "infra-manager": "services.infra_manager.service",
}


def main(settings: Settings) -> int:
    """The process's exit code."""
    service = importlib.import_module(_MODULES[settings.service])
    try:
        return run(settings, service.run)
    except OSError as e:
        err.print(f"[red]error:[/red] {settings.service} cannot start: {plain(str(e))}")
        return exits.FAILED
