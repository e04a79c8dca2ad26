"""Objects of extension servers' kinds on their way: each is one shard, and routes and listeners name the shards of those that they use.

So a policy that is edited is one message, whatever is attached to it; the assembled IR shows the objects in place, as Envoy Gateway's.
"""

from __future__ import annotations

from typing import Any

from shared.ir.base import IR


class UnstructuredRef(IR, frozen=True):
    """`ref` is the key of the object's shard; `assemble` replaces it by the object."""

    object: dict[str, Any] | None = None
    ref: str = ""


class ExtensionShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.extension.<group>.<kind>.<ns>.<name>`: an object as its user wrote it, without status and what servers add."""

    object: dict[str, Any]


class ExtensionServer(IR, frozen=True):
    """With what an extension server is spoken to over TLS: base64 PEM, as in `ir/tls.py`; `private_key` is sealed."""

    name: str
    ca_certificate: str = ""
    certificate: str = ""
    private_key: str = ""
    fault: str = ""
    """Why it cannot be spoken to."""


Refs = tuple[UnstructuredRef, ...]
