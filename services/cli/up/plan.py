"""What `headgate up` starts and what it tells each process. Pure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from shared.bus.settings import BusSettings
from shared.runtime.config import (
    CustomProvider,
    EnvoyGateway,
    ExtensionApis,
    FileResource,
    HostInfrastructure,
    InfrastructureProvider,
    Provider,
    ResourceProvider,
)
from shared.runtime.settings import SERVICES


class Layout(NamedTuple):
    """The state folder's inside."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def certs(self) -> Path:
        return self.root / "certs"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def nats_config(self) -> Path:
        return self.root / "nats.conf"

    @property
    def nats_store(self) -> Path:
        return self.root / "nats"

    @property
    def notes(self) -> Path:
        return self.root / "services"


class Child(NamedTuple):
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]


def configuration(given: EnvoyGateway, folder: Path, layout: Layout, nats_port: int, sealing_key: Path) -> EnvoyGateway:
    """The given configuration, pointed at this folder, this machine's processes and the embedded NATS.

    Unless the configuration says otherwise the Backend kind is on: on one machine there are no Services to refer to.
    """
    return msgspec.structs.replace(
        given,
        provider=Provider(
            type="Custom",
            custom=CustomProvider(
                resource=ResourceProvider(type="File", file=FileResource(paths=(str(folder),))),
                infrastructure=InfrastructureProvider(
                    type="Host", host=HostInfrastructure(config_home=str(layout.certs), state_home=str(layout.root))
                ),
            ),
        ),
        extension_apis=given.extension_apis
        if given.extension_apis != ExtensionApis()
        else ExtensionApis(enable_backend=True, enable_envoy_patch_policy=True),
        bus=BusSettings(urls=(f"nats://127.0.0.1:{nats_port}",), sealing_key_files=(str(sealing_key),)),
    )


def text(config: EnvoyGateway) -> str:
    """The configuration as the file that every service and every command of the CLI reads."""
    data: dict[str, Any] = msgspec.to_builtins(config)
    data = {"apiVersion": config.api_version, "kind": config.kind, **data}
    return "# Written by 'headgate up' at each start.\n" + yaml.safe_dump(data, sort_keys=False)


def children(layout: Layout, nats_server: Path, xds_port: int, wasm_port: int, backend_port: int | None) -> tuple[Child, ...]:
    """In the order in which they are started; they stop in the reverse."""
    headgate = (sys.executable, "-m", "services.cli.main")
    common = (
        "--config-path",
        str(layout.config),
        "--state-dir",
        str(layout.root),
        "--cert-dir",
        str(layout.certs),
        "--xds-port",
        str(xds_port),
        "--wasm-port",
        str(wasm_port),
    )
    echo = (Child("example-backend", (*headgate, "example-backend", "--port", str(backend_port))),) if backend_port else ()
    return (
        Child("nats-server", (str(nats_server), "-c", str(layout.nats_config))),
        *echo,
        *(Child(s, (*headgate, "serve", s, "--replica", s, *common)) for s in SERVICES),
    )
