"""An extension server as somebody else might run one: its own process, which tests start, stop, and make misbehave.

`python -m tests.integration.extension_server ADDRESS FOLDER NAME`. What it is asked it writes to FOLDER/asked, a line a question; how
it answers stands in FOLDER/mode: good, or the name of something bad, or a number of seconds to wait.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from shared.extension.contexts import ClusterContext, ListenerContext, Object, RouteContext, Translation, TranslationContext
from shared.extension.server import Extension, ExtensionServer, Tls
from shared.xds.message import build


class Tester(Extension):
    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    async def _asked(self, hook: str, resource: Any = None, about: str = "") -> None:
        with (self._folder / "asked").open("a") as log:
            log.write(f"{hook} {about or resource.name}\n")
        mode = (self._folder / "mode").read_text()
        if mode == "crash":
            os._exit(1)
        if mode == "error":
            raise ValueError("out of order")
        if mode == "garbage" and resource is not None:
            resource.name = "somebody else"
        if mode == "refused" and hook == "virtual_host":
            resource.routes.add().match.safe_regex.regex = "("
        if mode == "large":
            for n in range(1000):
                (resource.domains if hook == "virtual_host" else resource.clusters).append(f"{'x' * 10_000}{n}")
        if mode.replace(".", "").isdigit():
            await asyncio.sleep(float(mode))

    def _header(self, resource: Any, key: str, value: str) -> None:
        added = resource.response_headers_to_add.add()
        added.header.key, added.header.value = key, value

    async def route(self, route: Any, context: RouteContext) -> Any:
        await self._asked("route", route)
        names = [o.spec.get("value", o.name) for o in (*context.resources, *context.policies)]
        self._header(route, "x-route", ",".join(map(str, names)))
        return route

    async def virtual_host(self, host: Any) -> Any:
        await self._asked("virtual_host", host)
        self._header(host, "x-host", self._name)
        return host

    async def listener(self, listener: Any, context: ListenerContext) -> Any:
        await self._asked("listener", listener)
        listener.per_connection_buffer_limit_bytes.value = 54321 + len(context.policies)
        return listener

    async def cluster(self, cluster: Any, context: ClusterContext) -> Any:
        await self._asked("cluster", cluster)
        for each in context.resources:
            if each.kind == "Bucket":
                return _static(cluster.name, each)
        return None

    async def endpoints(self, endpoints: Any) -> Any:
        await self._asked("endpoints", about=endpoints.cluster_name)
        for locality in endpoints.endpoints:
            locality.locality.sub_zone = self._name
        return endpoints

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        await self._asked("translate", about=f"{len(resources.clusters)} clusters, {len(context.policies)} policies")
        # such a cluster keeps every rule that the protos have
        policy = {"lb_policy": "CLUSTER_PROVIDED"} if (self._folder / "mode").read_text() == "unacceptable" else {}
        mine = build("envoy.config.cluster.v3.Cluster", {"name": f"{self._name}-injected", "type": "STATIC", **policy})
        return resources._replace(clusters=[*resources.clusters, mine])


def _static(name: str, bucket: Object) -> Any:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": bucket.spec["port"]}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return build(
        "envoy.config.cluster.v3.Cluster",
        {
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
            "connect_timeout": {"seconds": 1},
        },
    )


async def main(address: str, folder: Path, name: str) -> None:
    tls = Tls(folder / "tls.crt", folder / "tls.key", folder / "ca.crt") if (folder / "tls.crt").exists() else None
    async with ExtensionServer(Tester(folder, name), address, tls) as server:
        (folder / "ready").touch()
        await server.ended()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
