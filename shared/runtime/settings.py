"""What one process of Headgate is told at its start: the static configuration plus where it stands on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from shared.bus.settings import BusSettings
from shared.runtime.config import EnvoyGateway

SERVICES = ("resource-watcher", "translator", "xds-server", "infra-manager")
OPS_PORTS = {"resource-watcher": 19101, "translator": 19102, "xds-server": 19103, "infra-manager": 19104}
XDS_PORT = 18000
WASM_PORT = 18002


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`replica` names this process among its like. Folders exist or are made; hosts are loopback unless told otherwise."""

    service: str
    config: EnvoyGateway = EnvoyGateway()
    replica: str = ""
    namespace: str = "envoy-gateway-system"
    cert_dir: Path | None = None
    state_dir: Path = Path(".headgate")
    ops_host: str = "127.0.0.1"
    ops_port: int = 0
    xds_host: str = "127.0.0.1"
    xds_port: int = XDS_PORT
    wasm_port: int = WASM_PORT
    xds_plaintext: bool = False
    dns_domain: str = "cluster.local"

    @property
    def bus(self) -> BusSettings:
        return self.config.bus

    @property
    def holder(self) -> str:
        """This replica's name on leases."""
        return self.replica or f"{self.service}-{socket.gethostname()}"
