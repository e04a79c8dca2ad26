"""The extension server: `python -m examples.spiffe.extension unix:/run/spiffe-extension.sock --agent /run/spire/agent.sock`.

A policy of a Gateway comes with the Translation hook, one of a route with the Route hook, which may change nothing but that route. So it
is written into the route's metadata, where the Translation hook finds it: nothing has to be remembered from one question to the next.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from typing import Any

import structlog

from examples.spiffe import sockets
from examples.spiffe.policy import Policy, first, read, usable, written
from shared.extension.contexts import Object, RouteContext, Translation, TranslationContext
from shared.extension.server import Extension, serve
from shared.xds.message import to_json

log = structlog.get_logger("spiffe")

METADATA = "spiffe.headgate.dev"


class Spiffe(Extension):
    """`agent` is the path of the SPIRE agent's socket, where the proxies see it."""

    def __init__(self, agent: str) -> None:
        self._agent = agent

    async def route(self, route: Any, context: RouteContext) -> Any:
        policy = _chosen(context.policies)
        if policy is None:
            return None
        route.metadata.filter_metadata[METADATA].update(written(policy))
        return route

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        of_gateway = _chosen(context.policies)
        of_cluster = dict(_used(resources.routes, of_gateway))
        clusters = [c for c in resources.clusters if c.name != sockets.AGENT]
        changed = False
        for cluster in clusters:
            policy = of_cluster.get(cluster.name)
            if policy is None:
                continue
            if sockets.secure(cluster, policy):
                changed = True
            else:
                log.warning("no TLS to begin with", cluster=cluster.name, policy=policy.name)
        return resources._replace(clusters=[*clusters, sockets.agent(self._agent)] if changed else clusters)


def _chosen(policies: tuple[Object, ...]) -> Policy | None:
    found = first(policies)
    if found is None:
        return None
    policy, fault = usable(found)
    if fault:
        log.error("policy is wrong; nobody is let through", policy=policy.name, fault=fault)
    return policy


def _used(configurations: list[Any], of_gateway: Policy | None) -> Iterator[tuple[str, Policy]]:
    """(cluster, policy) of clusters that routes lead to: others are not backends. The policy of a route goes before the Gateway's."""
    own: dict[str, Policy] = {}
    for configuration in configurations:
        for host in configuration.virtual_hosts:
            for route in host.routes:
                mine = read(to_json(route.metadata.filter_metadata[METADATA])) if METADATA in route.metadata.filter_metadata else None
                for name in _clusters(route):
                    if mine is not None:
                        own[name] = min(mine, own.get(name, mine))
                    elif of_gateway is not None:
                        yield name, of_gateway
    yield from own.items()


def _clusters(route: Any) -> Iterator[str]:
    action = route.route
    if action.cluster:
        yield action.cluster
    yield from (each.name for each in action.weighted_clusters.clusters)
    yield from (each.cluster for each in action.request_mirror_policies if each.cluster)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.spiffe.extension", description="Backend mTLS with SPIFFE identities.")
    parser.add_argument("address", help="where to listen: host:port or unix:<path>")
    parser.add_argument("--agent", required=True, metavar="SOCKET", help="the SPIRE agent's socket, where the proxies see it")
    arguments = parser.parse_args()
    asyncio.run(serve(Spiffe(arguments.agent), arguments.address))


if __name__ == "__main__":
    main()
