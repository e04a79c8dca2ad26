"""JetStream's own API, and the streams: made when they are missing, adjusted when their configuration differs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client

from shared.bus.errors import STREAM_NAME_IN_USE, STREAM_NOT_FOUND, ApiError, Unavailable
from shared.bus.wire import INCARNATION, StreamSpec

log = structlog.get_logger("bus")

TIMEOUT = 5.0
"""Seconds for one request to NATS."""


async def api(client: Client, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request to $JS.API.<name>; Unavailable, or ApiError when JetStream refuses it."""
    try:
        reply = await client.request(f"$JS.API.{name}", json.dumps(body).encode() if body is not None else b"", timeout=TIMEOUT)
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"$JS.API.{name}: {e or type(e).__name__}") from e
    answer: dict[str, Any] = json.loads(reply.data)
    error = answer.get("error")
    if error:
        raise ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))
    return answer


async def ensure(client: Client, spec: StreamSpec, replicas: int) -> str:
    """Makes or adjusts one stream; its incarnation."""
    try:
        found = (await api(client, f"STREAM.INFO.{spec.name}"))["config"]
    except ApiError as e:
        if e.code != STREAM_NOT_FOUND:
            raise
        return await _create(client, spec, replicas)
    incarnation = str(found.get("metadata", {}).get(INCARNATION, ""))
    wanted = spec.config(replicas, incarnation)
    wanted.pop("metadata")
    if incarnation and all(found.get(k) == v for k, v in wanted.items()):
        return incarnation
    incarnation = incarnation or uuid.uuid4().hex[:12]
    metadata = {**found.get("metadata", {}), INCARNATION: incarnation}
    await api(client, f"STREAM.UPDATE.{spec.name}", {**found, **wanted, "metadata": metadata})
    log.info("bus.stream_updated", stream=spec.name)
    return incarnation


async def _create(client: Client, spec: StreamSpec, replicas: int) -> str:
    incarnation = uuid.uuid4().hex[:12]
    try:
        await api(client, f"STREAM.CREATE.{spec.name}", spec.config(replicas, incarnation))
    except ApiError as e:
        if e.code != STREAM_NAME_IN_USE:
            raise
        return await ensure(client, spec, replicas)  # another service was faster: its incarnation counts
    log.info("bus.stream_created", stream=spec.name, incarnation=incarnation)
    return incarnation
