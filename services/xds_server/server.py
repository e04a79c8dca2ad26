"""The gRPC shell: bytes between sockets and the stream machines. It renders nothing and decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import structlog

from services.xds_server import metrics
from services.xds_server.ads.messages import Node, delta_request, delta_response, sotw_request, sotw_response
from services.xds_server.ads.outcomes import Accepted
from services.xds_server.ads.stream import Limits, Stream
from services.xds_server.gateway import GatewayState
from services.xds_server.hooks.asker import Asker
from services.xds_server.hooks.plan import Answer, Ask, Server
from services.xds_server.limits.board import Board
from services.xds_server.listening import bind
from services.xds_server.proof import refusal, token_of
from services.xds_server.render.names import Names
from services.xds_server.render.tls import OpenSecret
from services.xds_server.settings import XdsSettings
from shared.core.accounts import CannotTell, Prove
from shared.core.refs import GatewayRef
from shared.ir.status import XdsStatus

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
_MANY_SHARDS = 500
_REPORT_DELAY = 0.00005
_NO_DELAY = 0.001
_ANSWER_DELAY = 0.1
OnStatus = Callable[[GatewayRef, XdsStatus | None], None]
"""None: the Gateway is gone, and no proxy of it is connected."""
log = structlog.get_logger(__name__)


def gateway_of(node: Node) -> GatewayRef:
    """A proxy's Gateway: its node's cluster is `<namespace>/<name>`, or a class's name where Gateways are merged."""
    namespace, slash, name = node.cluster.partition("/")
    return GatewayRef(namespace, name) if slash else GatewayRef("", node.cluster)


class XdsServer:
    """Serves ADS for all Gateways. Everything but `serve` is synchronous and belongs to the event loop's thread."""

    def __init__(
        self, settings: XdsSettings, open_secret: OpenSecret, prove: Prove | None = None, extensions: tuple[Server, ...] = ()
    ) -> None:
        """`prove`: proxies show tokens of their service accounts in place of certificates. `extensions`: who is asked by `use`'s asker."""
        self._extensions = extensions
        self._asker: Asker | None = None
        self._settings = settings
        self._prove = prove
        self._open_secret = open_secret
        self._limits = Limits(stage=settings.stage_limit, behind=settings.behind_limit)
        self._gateways: dict[GatewayRef, GatewayState] = {}
        self._wakes: dict[Stream, asyncio.Event] = {}
        self._callbacks: list[OnStatus] = []
        self._reported: dict[GatewayRef, XdsStatus] = {}
        self._to_report: set[GatewayRef] = set()
        self._on_limits: Callable[[], None] = lambda: None
        self.limits = Board()
        """What the rate limit service is to count."""
        self._all_told = False
        self._server: grpc.aio.Server | None = None
        self._draining = asyncio.Event()

    # what the bus says

    def update(self, gateway: GatewayRef, version: int, incarnation: str, changed: Mapping[str, bytes | None], full: bool) -> None:
        """A Gateway's new whole version: the shards that changed (None: gone), or with `full` all of its shards."""
        state = self._state(gateway)
        begin = time.perf_counter()
        with _collector_paused(len(changed)):
            count = state.update(version, incarnation, changed, full)
        metrics.RENDER_SECONDS.observe(time.perf_counter() - begin)
        metrics.SNAPSHOT_CREATE.labels("success").inc()
        log.debug("version rendered", gateway=str(gateway), version=version, shards=len(changed), resources=count)
        self._ask(state)
        self._wake(state)
        self._count(state)

    def use(self, asker: Asker) -> None:
        """From now on extension servers are asked."""
        self._asker = asker
        asker.on_answers(self._answer)

    def _ask(self, state: GatewayState) -> bool:
        """Hands over the questions that rendering has raised; whether answers that are known already change what proxies see.

        They may raise further questions.
        """
        moved = False
        while self._asker is not None and (found := self._asker.look(state)):
            moved |= state.answer(found)
        return moved

    def _answer(self, gateway: GatewayRef, answers: Mapping[Ask, Answer]) -> None:
        state = self._gateways.get(gateway)
        if state is None:
            return
        moved = state.answer(answers)
        if self._ask(state) or moved:
            self._wake(state)
        self._count(state)
        self._report(gateway)

    def _count(self, state: GatewayState) -> None:
        """Tells what is to be counted and changed. While a Gateway's routes wait for their first answers it is not known what that is."""
        moved = self.limits.apply(state.ref, state.moved_limits())
        if self._all_told and all(each.rendered for each in self._gateways.values()):
            moved |= self.limits.complete()
        if moved:
            self._on_limits()

    def remove(self, gateway: GatewayRef) -> None:
        """The Gateway is gone: its proxies, if there are any, keep what they have."""
        state = self._gateways.get(gateway)
        if state is None:
            return
        state.remove()
        if self._asker is not None:
            self._asker.remove(gateway)
        if self.limits.remove(gateway):
            self._on_limits()
        self._report(gateway)
        self._forget(state)

    def complete(self) -> None:
        """Every Gateway that there is has been told."""
        self._all_told = True
        if all(each.rendered for each in self._gateways.values()) and self.limits.complete():
            self._on_limits()

    def on_limits(self, callback: Callable[[], None]) -> None:
        """Calls back when `limits` changed."""
        self._on_limits = callback

    def on_status(self, callback: OnStatus) -> None:
        """Calls back with a Gateway's status whenever it is different; what follows closely is told at once."""
        self._callbacks.append(callback)

    def status(self, gateway: GatewayRef) -> XdsStatus:
        state = self._gateways.get(gateway)
        return state.status() if state is not None else XdsStatus()

    @property
    def streams(self) -> int:
        return len(self._wakes)

    # serving

    async def start(self, address: str) -> int:
        """Binds `host:port` (port 0: any) and serves; returns the port. Plaintext only on loopback: ValueError elsewhere."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ("grpc.so_reuseport", 0),
        ]
        if self._settings.max_stream_age:
            options += [
                ("grpc.max_connection_age_ms", int(self._settings.max_stream_age * 1000)),
                ("grpc.max_connection_age_grace_ms", 1_000),
            ]
        self._draining = asyncio.Event()
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=None)
        handlers = {
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(self._delta),
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(self._sotw),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port = bind(server, address, self._settings, by_certificate=self._prove is None)
        await server.start()
        self._server = server
        return port

    async def stop(self, grace: float = 1.0) -> None:
        """Ends all streams (proxies keep their configuration and look for another replica), then the server."""
        self._draining.set()
        for wake in self._wakes.values():
            wake.set()
        if self._server is not None:
            await self._server.stop(grace)
            self._server = None

    async def serve(self, address: str, stop: asyncio.Event, started: Callable[[int], None] | None = None) -> None:
        """Serves until `stop` is set; `started` gets the port."""
        port = await self.start(address)
        log.info("xds server listens", address=address, port=port, tls=self._settings.certificate is not None)
        if started is not None:
            started(port)
        try:
            await stop.wait()
        finally:
            await self.stop()

    async def _delta(self, _requests: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        await self._run(context, delta=True)

    async def _sotw(self, _requests: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        await self._run(context, delta=False)

    async def _run(self, context: grpc.aio.ServicerContext[bytes, bytes], *, delta: bool) -> None:
        parse, show = (delta_request, delta_response) if delta else (sotw_request, sotw_response)
        first = await context.read()
        if first is _EOF:
            return
        request, node = parse(first)
        if node is None or not node.cluster:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request names no node, or a node without a cluster")
        assert node is not None
        await self._admit(context, node)
        state = self._state(gateway_of(node))
        stream = state.join(node.id, delta=delta)
        wake = self._wakes[stream] = asyncio.Event()
        begin = time.monotonic()
        metrics.STREAMS.labels(str(delta).lower()).inc()
        log.info("proxy connected", gateway=str(state.ref), node=node.id, delta=delta)

        def take(data: bytes | None) -> None:
            message = request if data is None else parse(data)[0]
            if message.error is not None:
                metrics.NACKS.labels(node.id, message.type_url).inc()
                log.warning("proxy refused", gateway=str(state.ref), node=node.id, type=message.type_url, detail=message.error)
            outcomes = stream.on_request(message)
            if state.observe(outcomes) or not all(isinstance(o, Accepted) for o in outcomes):
                self._wake(state)
            wake.set()

        async def read() -> None:
            while (data := await context.read()) is not _EOF:
                take(data)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("a request that cannot be read", gateway=str(state.ref), node=node.id, error=str(error))
            wake.set()

        take(None)
        reader = asyncio.create_task(read())
        reader.add_done_callback(ended)
        try:
            while not reader.done() and not self._draining.is_set():
                wake.clear()
                acked = stream.acked_version
                for response in stream.poll(time.monotonic()):
                    await context.write(show(response))
                    metrics.SNAPSHOT_UPDATE.labels(node.id, "success").inc()
                state.settle(stream)
                if stream.acked_version != acked:
                    self._report(state.ref)
                await _wait(wake, stream.until)
        finally:
            reader.cancel()
            state.leave(stream)
            del self._wakes[stream]
            metrics.STREAMS.labels(str(delta).lower()).dec()
            metrics.STREAM_DURATION.labels(node.id, str(delta).lower()).observe(time.monotonic() - begin)
            log.info("proxy gone", gateway=str(state.ref), node=node.id)
            self._report(state.ref)
            self._forget(state)

    async def _admit(self, context: grpc.aio.ServicerContext[bytes, bytes], node: Node) -> None:
        """Ends the call of a proxy that does not prove that it is the Gateway's; one that cannot be judged now may come again."""
        if self._prove is None:
            return
        try:
            who = await self._prove(token) if (token := token_of(context.invocation_metadata() or ())) else None
        except CannotTell as e:
            log.warning("a proxy's token cannot be reviewed", node=node.id, error=str(e))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "tokens cannot be reviewed now")
            return
        gateway = gateway_of(node)
        if (why := refusal(who, node.id, gateway, self._settings.namespace)) is not None:
            log.warning("proxy turned away", gateway=str(gateway), node=node.id, reason=why)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{node.id} may not have {gateway}: {why}")

    # inside

    def _state(self, gateway: GatewayRef) -> GatewayState:
        state = self._gateways.get(gateway)
        if state is None:
            state = self._gateways[gateway] = GatewayState(
                gateway, self._open_secret, self._limits, Names(self._settings.names_by_port), self._extensions
            )
        return state

    def _forget(self, state: GatewayState) -> None:
        if not state.view.whole and not state.streams and self._gateways.get(state.ref) is state:
            del self._gateways[state.ref]

    def _wake(self, state: GatewayState) -> None:
        for stream in state.streams:
            if stream in self._wakes:
                self._wakes[stream].set()
        if state.streams and self._callbacks:
            # their acknowledgements, as a rule, follow at once: both are told as one
            asyncio.get_running_loop().call_later(_ANSWER_DELAY, self._report, state.ref)
        else:
            self._report(state.ref)

    def _report(self, gateway: GatewayRef) -> None:
        if self._callbacks and not self._to_report:
            # a status names every proxy: with thousands of them, many acknowledgements are told at once
            loop, delay = asyncio.get_running_loop(), len(self._wakes) * _REPORT_DELAY
            if delay < _NO_DELAY:
                loop.call_soon(self._report_all)
            else:
                loop.call_later(delay, self._report_all)
        self._to_report.add(gateway)

    def _report_all(self) -> None:
        due, self._to_report = self._to_report, set()
        for gateway in due:
            status = self.status(gateway) if gateway in self._gateways else None
            if self._reported.get(gateway) == status:
                continue
            if status is None:
                del self._reported[gateway]
            else:
                self._reported[gateway] = status
            for callback in self._callbacks:
                callback(gateway, status)


@contextlib.contextmanager
def _collector_paused(shards: int) -> Iterator[None]:
    """Building thousands of resources makes no garbage cycles, but would have the collector look at them over and over."""
    pause = shards > _MANY_SHARDS and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()


async def _wait(wake: asyncio.Event, until: float | None) -> None:
    if until is None:
        await wake.wait()
        return
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic()) + random.uniform(0, 0.005)):
            await wake.wait()
    except TimeoutError:
        pass
