"""The small HTTP server of each service: /healthz (alive and not stuck), /readyz (does its work), /metrics, /status (JSON)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from shared.runtime.backlog import Backlog
from shared.runtime.logs import COMPONENTS

_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class Ops:
    """What a service tells of itself. `ready` is set by the service; `details` adds to /status."""

    def __init__(self, service: str, replica: str) -> None:
        self.service = service
        self.replica = replica
        self.backlog = Backlog()
        self.registry = CollectorRegistry()
        self.not_ready = "starting"
        self.standing_by = ""
        self.details: Callable[[], dict[str, Any]] = dict
        self.started = time.time()
        self.port = 0
        self._runner: web.AppRunner | None = None
        age = Gauge("headgate_oldest_change_age_seconds", "Age of the oldest change not yet passed on.", registry=self.registry)
        age.set_function(lambda: self.backlog.age)
        labels = (COMPONENTS.get(service, service), "changes", "success")
        names = ("runner", "message", "status")
        handled = Counter("watchable_subscribe_total", "Batches of changes handled.", names, registry=self.registry).labels(*labels)
        took = Histogram(
            "watchable_subscribe_duration_seconds",
            "From a change's arrival until it was passed on.",
            names,
            registry=self.registry,
            buckets=_BUCKETS,
        ).labels(*labels)

        def passed_on(seconds: float) -> None:
            handled.inc()
            took.observe(seconds)

        self.backlog.on_leave = passed_on

    def ready(self) -> None:
        self.not_ready = self.standing_by = ""

    def wait(self, reason: str) -> None:
        """Not ready, and why."""
        self.not_ready, self.standing_by = reason, ""

    def stand_by(self, reason: str) -> None:
        """Healthy and ready to take over; somebody else does the work."""
        self.not_ready, self.standing_by = "", reason

    def status(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "replica": self.replica,
            "ready": not self.not_ready,
            "standby": bool(self.standing_by),
            "reason": self.not_ready or self.standing_by,
            "oldestChangeAgeSeconds": round(self.backlog.age, 3),
            "stuck": self.backlog.stuck,
            "uptimeSeconds": round(time.time() - self.started, 1),
            **self.details(),
        }

    async def serve(self, host: str, port: int) -> None:
        """Starts listening; `port` 0 picks a free one, which then stands in `self.port`."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
                web.get("/status", self._status),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        if self.backlog.stuck:
            return web.Response(status=503, text=f"stuck: the oldest change waits since {self.backlog.age:.1f} s\n")
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(status=503, text=self.not_ready + "\n") if self.not_ready else web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY) + generate_latest(self.registry), content_type="text/plain", charset="utf-8")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self.status())
