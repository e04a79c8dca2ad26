"""How to reach NATS and what the streams may hold; plain data, so that settings files can be checked without a NATS client."""

from __future__ import annotations

import msgspec

MAX_PAYLOAD = 8 * 1024 * 1024


class BusTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """PEM files. `ca` alone verifies the server; `cert` and `key` together identify this service to it."""

    ca: str = ""
    cert: str = ""
    key: str = ""


class BusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The `bus` section of the static configuration. Every secret is a file's path, read at each connect, so rotation needs no restart."""

    urls: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    credentials_file: str = ""
    """A NATS .creds file (JWT and seed)."""
    user: str = ""
    password_file: str = ""
    tls: BusTls | None = None
    sealing_key_files: tuple[str, ...] = ()
    """Keys for secret values (shared.core.sealing): the first seals, all open."""
    replicas: int = 1
    """Copies of each stream; 3 in a NATS cluster."""
    max_payload: int = MAX_PAYLOAD
    """Bytes; what the server's configuration must allow."""
