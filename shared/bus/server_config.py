"""The nats-server configuration that Headgate needs, as text: one source for the quickstart, the tests and compose."""

from __future__ import annotations

import json

from shared.bus import permissions
from shared.bus.settings import MAX_PAYLOAD


def render(
    *,
    store_dir: str,
    host: str = "127.0.0.1",
    port: int = 4222,
    name: str = "headgate",
    user: str = "",
    password: str = "",
    tls: tuple[str, str, str] | None = None,
    own_permissions: bool = False,
    monitor_port: int | None = None,
) -> str:
    """A configuration file. Loopback unless told otherwise; `port` -1 lets the server choose. `tls`: (ca, cert, key) PEM files, clients
    must then prove themselves; with `own_permissions` their certificates say which service they are, and so what they may.
    `monitor_port`: HTTP monitoring, on loopback or the given host."""
    q = json.dumps
    blocks = [
        f"server_name: {q(name)}",
        f"listen: {q(f'{host}:{port}')}",
        f"max_payload: {MAX_PAYLOAD}",
        f"max_pending: {16 * MAX_PAYLOAD}",
        "write_deadline: '10s'",
        "ping_interval: '20s'",
        f"jetstream {{\n  store_dir: {q(store_dir)}\n}}",
    ]
    if monitor_port is not None:
        blocks.append(f"http: {q(f'{host}:{monitor_port}')}")
    if user:
        blocks.append(f"authorization {{\n  user: {q(user)}\n  password: {q(password)}\n}}")
    if tls is not None:
        ca, cert, key = tls
        verify = "verify_and_map" if own_permissions else "verify"
        blocks.append(f"tls {{\n  ca_file: {q(ca)}\n  cert_file: {q(cert)}\n  key_file: {q(key)}\n  {verify}: true\n}}")
    if own_permissions:
        blocks.append(permissions.users())
    return "\n".join(blocks) + "\n"
