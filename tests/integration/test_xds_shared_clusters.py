"""A real Envoy with routes that share a backend's cluster."""

from __future__ import annotations

from typing import Any

from shared.ir.base import IR
from shared.ir.gateway import GatewayShard
from shared.ir.shards import GATEWAY
from shared.testing.envoy import Envoy, running_envoy
from shared.testing.wait import until
from tests.integration import test_xds_envoy as parts
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.test_shared_clusters import KEY, NAME, cluster, route

rig, blue, green = parts.rig, parts.blue, parts.green


async def cluster_names(envoy: Envoy) -> list[str]:
    active: list[dict[str, Any]] = (await envoy.config_dump())["ClustersConfigDump"].get("dynamic_active_clusters", [])
    return sorted(c["cluster"]["name"] for c in active)


async def test_routes_share_a_cluster_which_comes_and_goes(rig: parts.Rig, blue: parts.Backend, green: parts.Backend) -> None:
    shards: dict[str, IR | None] = {
        GATEWAY: GatewayShard(http_listeners=(b.LISTENER,)),
        b.LISTENER: b.listener(rig.port),
        KEY: cluster(),
        b.backend_key("app"): parts.to(blue),
        b.route_key("one"): route("one"),
        b.route_key("two"): route("two"),
    }
    rig.publish(shards)
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        for host in ("one.example.com", "two.example.com"):
            await rig.answers("blue", host=host)
        assert await cluster_names(envoy) == [NAME]
        # all goes to the backend of its own, as the shared one has no weight; the other route notices nothing
        own = b.setting("one", "own", 1, weight=1)
        rig.publish({b.route_key("one"): route("one", own, weight=0), b.backend_key("own"): parts.to(green)})
        await rig.answers("green", host="one.example.com")
        assert (await rig.get(host="two.example.com")).text == "blue"
        rig.publish({b.backend_key("app"): b.backend()})
        await rig.answers("503", host="two.example.com")
        rig.publish({b.backend_key("app"): parts.to(blue)})
        await rig.answers("blue", host="two.example.com")
        plain = b.route("two", host="two.example.com", backend="own")
        rig.publish({b.route_key("one"): None, b.route_key("two"): plain, KEY: None})
        await rig.answers("green", host="two.example.com")
        await rig.acked()

        async def alone() -> bool:
            return await cluster_names(envoy) == ["httproute/default/two/rule/0"]

        await until(alone)
