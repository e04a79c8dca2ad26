"""One extension server over gRPC: bytes out, bytes back, or a sentence that says why not."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import grpc

from services.xds_server import metrics
from services.xds_server.hooks.judge import Refused, judged
from services.xds_server.hooks.plan import Answer, Ask, Server
from shared.core import durations
from shared.extension.protocol import METHODS, SERVICE
from shared.ir.unstructured import ExtensionServer
from shared.runtime.extensions import MOST_ATTEMPTS, ExtensionManager, ExtensionRetry

TIMEOUT = 5.0
"""Seconds that an answer may take, with all attempts, where the configuration does not say."""
AT_ONCE = 32
"""Questions under way at one server."""
PROBES = 4
"""How many of these are still asked while the last ones had no answer; the others are told what is wrong without a wait of their own."""


class Failed(Exception):
    """Why there is no answer."""


class Client:
    """One server's. While it does not answer at all, a few questions find out whether it does again."""

    def __init__(self, manager: ExtensionManager, server: Server, open_secret: Callable[[str], bytes]) -> None:
        self.server = server
        self.timeout = durations.parse(manager.timeout) / 1e9 if manager.timeout is not None else TIMEOUT
        self._down = ""
        self._flying = 0
        self._manager = manager
        self._open_secret = open_secret
        self._credentials: ExtensionServer | None = None
        self._channel: grpc.aio.Channel | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)

    def use(self, credentials: tuple[ExtensionServer, ...]) -> None:
        """Takes what it needs for TLS; a changed certificate makes a new connection."""
        found = next((c for c in credentials if c.name == self.server.name), None)
        if found is not None and found != self._credentials:
            self._credentials = found
            self._drop()

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            task = asyncio.get_running_loop().create_task(channel.close(self.timeout))
            task.add_done_callback(lambda t: t.cancelled() or t.exception())

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    async def ask(self, question: Ask, request: bytes) -> Answer:
        """The server's answer, fit to be shown. Raises Failed."""
        labels = (question.server, question.hook)
        begin = time.monotonic()
        try:
            answer = await self._call(question, request)
        except Failed:
            metrics.EXTENSION_CALLS.labels(*labels, "failed").inc()
            raise
        except Refused as e:
            metrics.EXTENSION_CALLS.labels(*labels, "refused").inc()
            raise Failed(str(e)) from e
        finally:
            metrics.EXTENSION_SECONDS.labels(*labels).observe(time.monotonic() - begin)
        metrics.EXTENSION_CALLS.labels(*labels, "answered").inc()
        return answer

    async def _call(self, question: Ask, request: bytes) -> Answer:
        if len(request) > self._manager.largest:
            raise Failed(f"the question has {len(request)} bytes, and maxMessageSize is {self._manager.largest}")
        async with self._slots:
            # also one that has waited in line since the server was well
            if self._down and self._flying >= PROBES:
                raise Failed(self._down)
            self._flying += 1
            try:
                response = await self._send(question, request)
            finally:
                self._flying -= 1
        return judged(self.server, question, response)

    async def _send(self, question: Ask, request: bytes) -> bytes:
        try:
            method = self._connected().unary_unary(f"/{SERVICE}/{METHODS[question.hook]}", None, None)
            response: bytes = await method(request, timeout=self.timeout)
        except grpc.aio.AioRpcError as e:
            text = f"{e.code().name}: {e.details()}"
            # any other code is an answer
            self._down = text if e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) else ""
            raise Failed(text) from e
        self._down = ""
        return response

    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            service = self._manager.service
            assert service is not None, "the configuration was checked"
            options: list[tuple[str, Any]] = [
                ("grpc.max_send_message_length", self._manager.largest),
                ("grpc.max_receive_message_length", self._manager.largest),
                ("grpc.service_config", json.dumps(service_config(service.retry))),
                ("grpc.enable_retries", 1),
                # a server that comes back is to be found soon
                ("grpc.max_reconnect_backoff_ms", 2_000),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.use_local_subchannel_pool", 1),
            ]
            if service.tls is None:
                self._channel = grpc.aio.insecure_channel(service.address, options)
            else:
                self._channel = grpc.aio.secure_channel(service.address, self._tls(), options)
        return self._channel

    def _tls(self) -> grpc.ChannelCredentials:
        found = self._credentials
        if found is None or found.fault:
            raise Failed(found.fault if found is not None else "its certificates are not known yet")
        key = self._open_secret(found.private_key) if found.private_key else None
        return grpc.ssl_channel_credentials(_pem(found.ca_certificate), key, _pem(found.certificate))


def _pem(value: str) -> bytes | None:
    return base64.b64decode(value) if value else None


def service_config(retry: ExtensionRetry | None) -> dict[str, Any]:
    """gRPC's own retries, with Envoy Gateway's defaults."""
    of = retry or ExtensionRetry()
    many = of.backoff_multiplier
    attempts = 4 if of.max_attempts is None else min(of.max_attempts, MOST_ATTEMPTS)
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": _seconds(of.initial_backoff, 0.1),
        "maxBackoff": _seconds(of.max_backoff, 1.0),
        "backoffMultiplier": many.numerator / many.denominator if many is not None else 2.0,
        "retryableStatusCodes": list(of.retryable_status_codes) or ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": [{"service": SERVICE}], **({"retryPolicy": policy} if attempts > 1 else {})}]}


def _seconds(value: str | None, default: float) -> str:
    return f"{durations.parse(value) / 1e9 if value is not None else default:g}s"
