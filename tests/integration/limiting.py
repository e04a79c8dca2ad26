"""Two services that count requests: one of the tests' own, and the real one with its Redis where both are installed.

Both are told what to count by xds_server, over the same protocol and with the same certificates.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from services.xds_server.limits.board import CONFIG, CONFIG_MESSAGE
from services.xds_server.limits.server import METHODS
from shared.testing.ports import free_port
from shared.testing.wait import until
from shared.xds.message import decode, encode

RATE_LIMIT = "HEADGATE_RATELIMIT"
"""Names the real service's binary where it does not stand on PATH as `ratelimit`."""
_REQUEST, _RESPONSE = "envoy.service.ratelimit.v3.RateLimitRequest", "envoy.service.ratelimit.v3.RateLimitResponse"
OWN = "ratelimit.service.ratelimit.v3.RateLimitConfigDiscoveryService"
"""The real one uses ADS, so both ways are tried."""
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]


class Ports(NamedTuple):
    """`config`: where xds_server tells what to count; `service`: where Envoy asks."""

    config: int
    service: int


def real_binary() -> str | None:
    found = os.environ.get(RATE_LIMIT) or shutil.which("ratelimit")
    return found if found and Path(found).exists() and shutil.which("redis-server") else None


def _channel(port: int, certs: Path) -> grpc.aio.Channel:
    own = certs / "envoy-ratelimit"
    credentials = grpc.ssl_channel_credentials(*((own / f).read_bytes() for f in ("ca.crt", "tls.key", "tls.crt")))
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)


class Limiter:
    """Counts without a clock: what a descriptor's limit allows is allowed once and for all."""

    def __init__(self) -> None:
        self.configs: dict[str, Any] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()

    async def follow(self, port: int, certs: Path) -> None:
        """Takes configurations until cancelled; xds_server may not be there yet."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async with _channel(port, certs) as channel:
                    await self._stream(channel)
            await asyncio.sleep(0.1)  # the pace of reconnecting

    async def _stream(self, channel: grpc.aio.Channel) -> None:
        call: Any = channel.stream_stream(f"/{OWN}/{METHODS[OWN]}")()  # type: ignore[call-arg]
        asked: dict[str, Any] = {"type_url": CONFIG, "node": {"id": "test"}}
        await call.write(encode("envoy.service.discovery.v3.DiscoveryRequest", asked))
        while (data := await call.read()) is not _EOF:
            response = decode("envoy.service.discovery.v3.DiscoveryResponse", data)
            found = [decode(CONFIG_MESSAGE, r.value) for r in response.resources]
            self.configs = {c.domain: c for c in found}
            answer = asked | {"version_info": response.version_info, "response_nonce": response.nonce}
            await call.write(encode("envoy.service.discovery.v3.DiscoveryRequest", answer))

    async def answer(self, data: bytes, _context: Any) -> bytes:
        asked = decode(_REQUEST, data)
        config = self.configs.get(asked.domain)
        over = False
        for each in asked.descriptors:
            entries = [(e.key, e.value) for e in each.entries]
            limit = _limit(config.descriptors, entries) if config is not None else None
            if limit is None:
                continue
            hits = each.hits_addend.value if each.HasField("hits_addend") else asked.hits_addend or 1
            key = (asked.domain, *(part for entry in entries for part in entry))
            self._counts[key] += hits
            over |= self._counts[key] > limit
        return encode(_RESPONSE, {"overall_code": "OVER_LIMIT" if over else "OK"})


def _limit(descriptors: Iterable[Any], entries: list[tuple[str, str]]) -> int | None:
    """The limit at the end of the chain that the entries follow; a value goes before none."""
    (key, value), *rest = entries
    for each in sorted((d for d in descriptors if d.key == key and d.value in ("", value)), key=lambda d: d.value == ""):
        if rest:
            return _limit(each.descriptors, rest)
        return int(each.rate_limit.requests_per_unit) if each.HasField("rate_limit") else None
    return None


@contextlib.asynccontextmanager
async def own(ports: Ports, certs: Path) -> AsyncIterator[None]:
    limiter = Limiter()
    server = grpc.aio.server()
    handlers = {"ShouldRateLimit": grpc.unary_unary_rpc_method_handler(limiter.answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("envoy.service.ratelimit.v3.RateLimitService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{ports.service}")
    await server.start()
    following = asyncio.create_task(limiter.follow(ports.config, certs))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.wait([following])
        await server.stop(0)


@contextlib.asynccontextmanager
async def real(ports: Ports, certs: Path) -> AsyncIterator[None]:
    """Redis and the rate limit service as processes."""
    binary, redis_port = real_binary(), free_port()
    assert binary is not None
    mine = certs / "envoy-ratelimit"
    settings = {
        "USE_STATSD": "false",
        "HOST": "127.0.0.1",
        "GRPC_HOST": "127.0.0.1",
        "DEBUG_HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "DEBUG_PORT": str(free_port()),
        "GRPC_PORT": str(ports.service),
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_URL": f"127.0.0.1:{redis_port}",
        "CONFIG_TYPE": "GRPC_XDS_SOTW",
        "CONFIG_GRPC_XDS_NODE_ID": "test",
        "CONFIG_GRPC_XDS_SERVER_URL": f"127.0.0.1:{ports.config}",
        "CONFIG_GRPC_XDS_SERVER_USE_TLS": "true",
        "CONFIG_GRPC_XDS_CLIENT_TLS_CERT": str(mine / "tls.crt"),
        "CONFIG_GRPC_XDS_CLIENT_TLS_KEY": str(mine / "tls.key"),
        "CONFIG_GRPC_XDS_SERVER_TLS_CACERT": str(mine / "ca.crt"),
        "CONFIG_GRPC_XDS_SERVER_CONNECT_RETRY_INTERVAL": "200ms",
        "XDS_CLIENT_BACKOFF_INITIAL_INTERVAL": "200ms",
        "XDS_CLIENT_BACKOFF_MAX_INTERVAL": "500ms",
        "FORCE_START_WITHOUT_INITIAL_CONFIG": "true",
    }
    redis = ("redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    with (certs / "ratelimit.log").open("wb") as log:
        async with _process(redis, {}, log), _process((binary,), settings, log):
            await until(lambda: _listens(ports.service), 20)
            yield


async def _listens(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


@contextlib.asynccontextmanager
async def _process(argv: tuple[str, ...], environment: dict[str, str], log: Any) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
