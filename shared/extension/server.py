"""For people who write extension servers: methods for the hooks that they want, and a server that speaks the protocol around them.

Resources are Envoy's own protobuf messages; change them in place, or return another one. What goes wrong in a method is an error of that
one call, and the control plane does with it what its configuration says.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import structlog

from shared.extension.contexts import ClusterContext, ListenerContext, RouteContext, Translation, TranslationContext, objects
from shared.extension.protocol import HOOKS, METHODS, SERVICE
from shared.xds.extension_protocol import PACKAGE
from shared.xds.pool import message_class

log = structlog.get_logger(__name__)
LARGEST = 64 << 20
_SERVING = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse: SERVING."""


class Extension:
    """Base of an extension server's work: overwrite the hooks that it wants, and name them in the control plane's configuration.

    A hook returns the changed resource, or None: it stays as it is.
    """

    async def route(self, route: Any, context: RouteContext) -> Any:
        """envoy.config.route.v3.Route of a rule that names objects of yours, or that policies of yours are attached to."""
        raise NotImplementedError

    async def virtual_host(self, host: Any) -> Any:
        """envoy.config.route.v3.VirtualHost, every one."""
        raise NotImplementedError

    async def listener(self, listener: Any, context: ListenerContext) -> Any:
        """envoy.config.listener.v3.Listener, every one."""
        raise NotImplementedError

    async def cluster(self, cluster: Any, context: ClusterContext) -> Any:
        """envoy.config.cluster.v3.Cluster of a rule that names objects of yours."""
        raise NotImplementedError

    async def endpoints(self, endpoints: Any) -> Any:
        """envoy.config.endpoint.v3.ClusterLoadAssignment of routes' clusters."""
        raise NotImplementedError

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        """All of a Gateway's resources that the configuration includes; what is returned takes their place."""
        raise NotImplementedError


class Tls(NamedTuple):
    """PEM files. With `client_ca` only clients with a certificate of that authority are served."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


_METHODS: dict[str, str] = {
    "Route": "route",
    "VirtualHost": "virtual_host",
    "HTTPListener": "listener",
    "Cluster": "cluster",
    "Endpoints": "endpoints",
}
_CONTEXTS: dict[str, Callable[[Any], Any]] = {
    "Route": lambda r: RouteContext(
        tuple(r.post_route_context.hostnames),
        objects(r.post_route_context.extension_resources),
        objects(r.post_route_context.extension_policies),
    ),
    "HTTPListener": lambda r: ListenerContext(objects(r.post_listener_context.extension_resources)),
    "Cluster": lambda r: ClusterContext(objects(r.post_cluster_context.backend_extension_resources)),
}


async def handle(extension: Extension, hook: str, request: bytes) -> bytes:
    """One call, without a network: a request's bytes to an answer's. Raises what the hook raises, NotImplementedError where there is none.

    Bytes that are no request raise google.protobuf.message.DecodeError.
    """
    asked = message_class(f"{PACKAGE}.{METHODS[hook]}Request").FromString(request)
    made = message_class(f"{PACKAGE}.{METHODS[hook]}Response")()
    if hook not in HOOKS:
        given = Translation(list(asked.clusters), list(asked.secrets), list(asked.listeners), list(asked.routes))
        found = await extension.translate(given, TranslationContext(objects(asked.post_translate_context.extension_resources)))
        for field, resources in found._asdict().items():
            getattr(made, field).extend(resources)
    else:
        field = made.DESCRIPTOR.fields[0].name
        arguments = (_CONTEXTS[hook](asked),) if hook in _CONTEXTS else ()
        changed = await getattr(extension, _METHODS[hook])(getattr(asked, field), *arguments)
        if changed is not None:
            getattr(made, field).CopyFrom(changed)
    answer: bytes = made.SerializeToString(deterministic=True)
    return answer


class ExtensionServer:
    """`async with ExtensionServer(MyExtension(), "127.0.0.1:5005") as server: await server.ended()`.

    `address` is host:port (port 0: any; see `port`) or unix:<path>. Health is told as gRPC does (grpc.health.v1).
    """

    def __init__(self, extension: Extension, address: str, tls: Tls | None = None, *, largest: int = LARGEST) -> None:
        self._extension = extension
        self._address = address
        self._tls = tls
        self._options = [("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", largest), ("grpc.so_reuseport", 0)]
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> ExtensionServer:
        server = grpc.aio.server(options=self._options)
        methods = {METHODS[hook]: grpc.unary_unary_rpc_method_handler(self._method(hook)) for hook in METHODS}
        health = {"Check": grpc.unary_unary_rpc_method_handler(_healthy), "Watch": grpc.unary_stream_rpc_method_handler(_watched)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods), grpc.method_handlers_generic_handler("grpc.health.v1.Health", health))
        )
        if self._tls is None:
            self.port = server.add_insecure_port(self._address)
        else:
            self.port = server.add_secure_port(self._address, _credentials(self._tls))
        await server.start()
        self._server = server
        log.info("extension server listens", address=self._address, port=self.port, tls=self._tls is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._server.stop(1)
            self._server = None

    async def ended(self) -> None:
        """Waits for ever, or until the server is stopped."""
        if self._server is not None:
            await self._server.wait_for_termination()

    def _method(self, hook: str) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]:
        async def call(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                return await handle(self._extension, hook, request)
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{METHODS[hook]} is not implemented")
            except Exception as e:
                log.exception("a hook failed", hook=hook)
                await context.abort(grpc.StatusCode.INTERNAL, f"{type(e).__name__}: {e}")
            raise AssertionError("abort does not return")

        return call


async def _healthy(_: bytes, __: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return _SERVING


async def _watched(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    await context.write(_SERVING)
    await asyncio.Event().wait()


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    authority = tls.client_ca.read_bytes() if tls.client_ca is not None else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


async def serve(extension: Extension, address: str, tls: Tls | None = None) -> None:
    """A program's whole work: serves until SIGTERM or SIGINT, or until it is cancelled."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with ExtensionServer(extension, address, tls):
        await stop.wait()
