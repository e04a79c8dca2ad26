"""A proxy's view of an xds_server without the proxy: everything that is served, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import grpc

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from shared.bootstrap.default import XDS_SERVER_NAME
from shared.xds.message import build, decode

TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE)
_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


async def served(port: int, folder: Path, cluster: str, quiet: float = 1.0) -> dict[tuple[str, str], bytes]:
    """Resources by type and name; the end is where nothing more came for `quiet` seconds."""
    ca, key, certificate = ((folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    options = [("grpc.ssl_target_name_override", XDS_SERVER_NAME)]
    out: dict[tuple[str, str], bytes] = {}
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        stream: Any = channel.stream_stream(_METHOD)()  # type: ignore[call-arg]  # the stubs insist on an iterator of requests
        for n, type_url in enumerate(TYPES):
            node = {"node": {"id": "test", "cluster": cluster}} if not n else {}
            await stream.write(_request(type_url=type_url, resource_names_subscribe=["*"], **node))
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(quiet):
                    response = decode("envoy.service.discovery.v3.DeltaDiscoveryResponse", await stream.read())
                for each in response.resources:
                    out[response.type_url, each.name] = each.resource.value
                await stream.write(_request(type_url=response.type_url, response_nonce=response.nonce))
        stream.cancel()
    return out


def _request(**fields: Any) -> bytes:
    made: bytes = build("envoy.service.discovery.v3.DeltaDiscoveryRequest", fields).SerializeToString()
    return made
