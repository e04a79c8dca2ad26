"""Who has a port on this machine: our fleets among themselves, or somebody else."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from services.infra_manager.providers.host.render import Port
from shared.core.refs import GatewayRef


def claims(wanted: Mapping[GatewayRef, Iterable[Port]]) -> dict[GatewayRef, str]:
    """Fleet -> why it cannot run, for fleets that want a port which an earlier one (in the mapping's order) has.

    Envoys bind with SO_REUSEPORT: two of them on one port would not fail but share its connections, which hurts both.
    """
    owners: dict[tuple[int, str], GatewayRef] = {}
    conflicts: dict[GatewayRef, str] = {}
    for gateway, ports in wanted.items():
        own = [(p.number, p.transport) for p in ports]
        clash = next((p for p in own if p in owners), None)
        if clash is not None:
            conflicts[gateway] = f"port {clash[0]} is already taken by Gateway {owners[clash]}"
            continue
        owners.update(dict.fromkeys(own, gateway))
    return conflicts


def trouble(port: Port, own: int) -> str:
    """Why the Envoy with process id `own` does not have this port: somebody else has it, or it may not; '' if neither is so.

    Nothing is bound to find out: that could take the port from under the Envoy which is about to bind it.
    """
    if port.number < _unprivileged() and os.geteuid() != 0:
        return f"port {port.number} needs a privilege that this process does not have"
    listening = _sockets(port)
    if not listening:
        return ""
    owners = _owners(listening)
    if own in owners.values():
        return ""
    pid = next(iter(owners.values()), None)
    return f"port {port.number} is already taken" + (f" by {_name(pid)} (process {pid})" if pid is not None else "")


def _unprivileged() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _sockets(port: Port) -> frozenset[str]:
    """Inodes of the sockets that serve the port (Linux); elsewhere '' stands for one that answers."""
    tables = [Path(f"/proc/net/{port.transport}{version}") for version in ("", "6")]
    if not tables[0].exists():
        with socket.socket() as s:
            s.settimeout(0.2)
            return frozenset({""}) if s.connect_ex(("127.0.0.1", port.number)) == 0 else frozenset()
    state = "0A" if port.transport == "tcp" else "07"
    found: set[str] = set()
    for table in tables:
        with contextlib.suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == state and int(fields[1].rsplit(":", 1)[1], 16) == port.number:
                    found.add(fields[9])
    return frozenset(found)


def _owners(inodes: frozenset[str]) -> dict[str, int]:
    """Inode -> process, of those that we may look into."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for descriptor in folder.iterdir():
                with contextlib.suppress(OSError):
                    inode = links.get(os.readlink(descriptor))
                    if inode is not None:
                        owners[inode] = int(folder.parent.name)
    return owners


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "another process"
