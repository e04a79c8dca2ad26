"""Many proxies' worth of delta streams, without the proxies: each connects by itself, takes all there is, and acknowledges what comes.

    python -m tests.bench.fleet <xds port> <folder with tls.crt, tls.key, ca.crt> <node cluster> <streams>

Prints `ready` once every stream has had a RouteConfiguration, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from shared.bootstrap.default import XDS_SERVER_NAME
from shared.xds.message import Fields, encode

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE)
_TYPE_FIELD, _NONCE_FIELD = 4, 5
AT_ONCE = 50
"""Connections that are being made at the same time."""


def request(fields: Fields) -> bytes:
    return encode("envoy.service.discovery.v3.DeltaDiscoveryRequest", fields)


def type_and_nonce(response: bytes) -> tuple[str, str]:
    """Of a DeltaDiscoveryResponse, read without its resources: this fleet must cost less than the server that it measures."""
    found = {_TYPE_FIELD: "", _NONCE_FIELD: ""}
    at = 0
    while at < len(response):
        key, at = _varint(response, at)
        size, at = _varint(response, at)  # all of its fields are length-delimited
        if (key >> 3) in found:
            found[key >> 3] = response[at : at + size].decode()
        at += size
    return found[_TYPE_FIELD], found[_NONCE_FIELD]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


async def proxy(n: int, address: str, credentials: grpc.ChannelCredentials, cluster: str, gate: asyncio.Semaphore, ready: Any) -> None:
    """One stream; `ready()` is called at its first RouteConfiguration."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.ssl_target_name_override", XDS_SERVER_NAME),
    ]
    first = True
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        async with gate:
            await channel.channel_ready()
        stream: Any = channel.stream_stream(METHOD)()  # type: ignore[call-arg]  # the stubs insist on an iterator of requests
        for type_url in TYPES:
            node = {"node": {"id": f"fleet-{n}", "cluster": cluster}} if type_url == TYPES[0] else {}
            await stream.write(request({"type_url": type_url, "resource_names_subscribe": ["*"], **node}))
        while (response := await stream.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            type_url, nonce = type_and_nonce(response)
            await stream.write(request({"type_url": type_url, "response_nonce": nonce}))
            if first and type_url == ROUTE:
                first = False
                ready()


async def main(port: str, certs: str, cluster: str, streams: str) -> None:
    folder, count = Path(certs), int(streams)
    ca, key, certificate = ((folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    gate, left, all_ready = asyncio.Semaphore(AT_ONCE), count, asyncio.Event()

    def ready() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_ready.set()

    tasks = [asyncio.create_task(proxy(n, f"127.0.0.1:{port}", credentials, cluster, gate, ready)) for n in range(count)]
    waits = asyncio.create_task(all_ready.wait())
    await asyncio.wait((waits, *tasks), return_when=asyncio.FIRST_COMPLETED)
    if not waits.done():
        next(t for t in tasks if t.done()).result()
        sys.exit("a stream ended")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
