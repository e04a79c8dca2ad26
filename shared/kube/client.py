"""Requests to an API server: kubernetes_asyncio finds it and proves who we are; bodies go through as bytes, decoded by who reads them."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any, Self

import aiohttp
import msgspec
from aiolimiter import AsyncLimiter
from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException

APPLY, MERGE, JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json"
TIMEOUT = 30.0
QPS, BURST = 50, 100
GONE, CONFLICT, NOT_FOUND = 410, 409, 404
KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds of silence before the first question, seconds between questions, and how many go unanswered."""


class Unreachable(Exception):
    """The API server cannot be asked now; the text says why. Later it may."""


class Refused(Exception):
    """The API server answered with an error: `code` as in HTTP, `reason` as Kubernetes spells it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


class NoCluster(Exception):
    """Neither a service account nor a kubeconfig is to be found, or it cannot be used."""


class Kube:
    """`async with await Kube.connect(name) as kube`. Safe to use from many tasks."""

    def __init__(self, api: ApiClient, name: str, pace: AsyncLimiter) -> None:
        self._api = api
        self._pace = pace
        self._session: aiohttp.ClientSession = api.rest_client.pool_manager
        self._host = str(api.configuration.host).rstrip("/")
        self._name = name

    @classmethod
    async def connect(cls, name: str, *, qps: int | None = None, burst: int | None = None) -> Kube:
        """As $KUBECONFIG says, or the pod's service account, or ~/.kube/config. `name` owns what is applied. Raises NoCluster.

        At most `burst` requests at once and `qps` a second from then on (Envoy Gateway's defaults: 100 and 50); watches do not count.
        """
        configuration = Configuration()
        # watches stay open for each kind, and requests must not wait for them
        configuration.connection_pool_maxsize = 200
        try:
            if os.environ.get("KUBECONFIG") or "KUBERNETES_SERVICE_HOST" not in os.environ:
                path = os.environ.get("KUBECONFIG", "~/.kube/config")
                await kube_config.load_kube_config(path, client_configuration=configuration, persist_config=False)
            else:
                kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as e:
            raise NoCluster(f"no Kubernetes cluster: {e}") from e
        most = burst or BURST
        return cls(ApiClient(configuration), name, AsyncLimiter(most, most / (qps or QPS)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Breaks what is under way: a request that is cancelled before this would wait for the server's goodbye."""
        await self._api.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = JSON) -> bytes:
        """Raises Refused, Unreachable."""
        return await self.request("GET", path, query, headers={"Accept": accept})

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The answer's body. Raises Refused, Unreachable."""
        data = msgspec.json.encode(body) if body is not None else None
        sent = {"Content-Type": content_type, **(headers or {})} if data is not None else dict(headers or {})
        await self._pace.acquire()
        try:
            async with self._session.request(
                method,
                self._host + path,
                params=query or {},
                data=data,
                headers=await self._headers(sent),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            ) as answer:
                found = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as e:
            raise Unreachable(f"{method} {path}: {e or type(e).__name__}") from e
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer.status, found)
        return found

    async def apply(self, path: str, body: Mapping[str, Any], *, force: bool = True, manager: str = "") -> dict[str, Any]:
        """Server-side apply under this client's name (or another); the object as it is now."""
        query = {"fieldManager": manager or self._name, "force": "true" if force else "false"}
        answer: dict[str, Any] = msgspec.json.decode(await self.request("PATCH", path, query, body, APPLY))
        return answer

    async def lines(self, path: str, query: Mapping[str, str], accept: str, silence: float) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on; Unreachable after so many seconds without one, and when the connection breaks."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        try:
            async with self._session.get(
                self._host + path, params=dict(query), headers=await self._headers({"Accept": accept}), timeout=timeout
            ) as answer:
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    raise _refusal(answer.status, await answer.read())
                _keep_alive(answer)
                async for line in answer.content:
                    yield line
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as e:
            raise Unreachable(f"watch {path}: {e or type(e).__name__}") from e

    async def _headers(self, given: Mapping[str, str]) -> dict[str, str]:
        headers = {"User-Agent": f"headgate/{self._name}", **given}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        return headers


class _Status(msgspec.Struct):
    reason: str = ""
    message: str = ""


def _keep_alive(answer: aiohttp.ClientResponse) -> None:
    """A watch may be silent for minutes; the network says within half a minute when nobody is there any more."""
    found = answer.connection.transport if answer.connection is not None else None
    if found is None or (sock := found.get_extra_info("socket")) is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _refusal(code: int, body: bytes) -> Refused:
    try:
        status = msgspec.json.decode(body, type=_Status)
    except msgspec.DecodeError:
        status = _Status("", body[:200].decode(errors="replace"))
    return Refused(code, status.reason, status.message)


async def retrying_pause(attempt: int) -> None:
    """Waits before another try: a fifth of a second, then longer, half a minute at most, and never in step with others."""
    await asyncio.sleep(min(30.0, 0.2 * 2**attempt) * random.uniform(0.5, 1.5))
