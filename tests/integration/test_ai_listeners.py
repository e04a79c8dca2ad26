"""Which listeners the AI gateway serves: those of every namespace alike, whatever they are called; what is left out is left out loudly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.integration.ai import CONFIG, AiWorld, ai_world, gateway, route

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
RULES = "[{models: ['gpt-*'], backends: [{name: openai}]}]"
NO = "{ai-gateway.envoyproxy.io/managed: 'false'}"
LISTENER_SET = """
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  parentRef: {{name: gw, namespace: default}}
  listeners:
  - {{name: extra, protocol: HTTP, port: {port}, {hostname}, allowedRoutes: {{namespaces: {{from: All}}}}}}
"""
NAMESPACES = "\n---\n".join(
    f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}"
    for name, labels in (("team-a", "{tier: gold}"), ("team-b", "{tier: gold}"), ("team-c", "{tier: none}"))
)
SELECTOR = "{namespaceSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [none]}]}}"


class Ports:
    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.by_name.setdefault(name, free_port())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[AiWorld, Ports]]:
    root: Path = tmp_path_factory.mktemp("ai")
    ports = Ports()
    sets = "allowedListeners: {namespaces: {from: All}}"
    allowed = "allowedRoutes: {namespaces: {from: All}}"
    shared = f"- {{name: second, hostname: second.example.com, protocol: HTTP, port: {ports['main']}, {allowed}}}"
    objects = {
        "namespaces": NAMESPACES,
        "main": gateway("default", "gw", ports["main"], more=sets, extra=shared),
        "team-a": gateway("team-a", "gw", ports["team-a"]),
        "tests": gateway("envoy-gateway-tests", "envoy-gateway-x", ports["tests"], listener="envoy-gateway"),
        "system": gateway("envoy-gateway", "envoy-gateway", ports["system"], listener="envoy-gateway-metrics"),
        "refused": gateway("team-b", "refused", ports["refused"], labels=NO),
        "outside": gateway("team-c", "gw", ports["outside"]),
        "set": LISTENER_SET.format(name="set", namespace="team-a", labels="{}", port=ports["set"], hostname="hostname: set.example.com"),
        "no-set": LISTENER_SET.format(
            name="no-set", namespace="team-a", labels=NO, port=ports["no-set"], hostname="hostname: no.example.com"
        ),
        "route": route(RULES),
    }
    async with ai_world(root, selector=SELECTOR, **objects) as made:
        yield made, ports


async def asked(world: tuple[AiWorld, Ports], name: str, host: str = "") -> int:
    w, ports = world
    return (await w.ask("gpt-4o", ports[name], headers={"host": host} if host else None)).status_code


async def answers(world: tuple[AiWorld, Ports], name: str, status: int, host: str = "") -> None:
    async def right() -> bool:
        return await asked(world, name, host) == status

    await until(right, 40)


@pytest.mark.parametrize("name", ["main", "team-a", "tests", "system"])
async def test_gateways_of_every_namespace_are_served_alike(world: tuple[AiWorld, Ports], name: str) -> None:
    await answers(world, name, 200)


async def test_listener_sets_and_listeners_that_share_a_route_configuration(world: tuple[AiWorld, Ports]) -> None:
    await answers(world, "set", 200, "set.example.com")
    await answers(world, "main", 200, "second.example.com")
    await answers(world, "no-set", 404, "no.example.com")


async def test_the_control_planes_own_listeners_are_left_alone(world: tuple[AiWorld, Ports]) -> None:
    w, _ = world
    await answers(world, "system", 200)
    with_filter: list[str] = []
    without: list[str] = []
    for file in sorted((w.p.layout.root / "envoy").rglob("admin*")):
        admin = file.read_text().strip()
        dump = (await w.p.client.get(f"{admin if admin.startswith('http') else 'http://' + admin}/config_dump")).json()
        for config in dump["configs"]:
            for each in config.get("dynamic_listeners", ()):
                found = each["active_state"]["listener"]
                (with_filter if '"ai-gateway"' in yaml.safe_dump(found, default_style='"') else without).append(found["name"])
    assert "envoy-gateway/envoy-gateway/envoy-gateway-metrics" in with_filter
    assert {"default/gw/http", "team-a/gw/http", "envoy-gateway-tests/envoy-gateway-x/envoy-gateway"} <= set(with_filter)
    assert {"team-b/refused/http", "team-c/gw/http"} <= set(without)


async def test_what_is_left_out_is_left_out_loudly(world: tuple[AiWorld, Ports]) -> None:
    w, _ = world
    await answers(world, "refused", 404)
    await answers(world, "outside", 404)
    status: dict[str, Any] = await until(lambda: w.status("chat"), 10)
    told = {
        f"{p['parentRef']['kind']} {p['parentRef']['namespace']}/{p['parentRef']['name']}": p["conditions"][0] for p in status["parents"]
    }
    assert {name: c["reason"] for name, c in told.items() if c["status"] == "False"} == {
        "Gateway team-b/refused": "LabelSaysNo",
        "Gateway team-c/gw": "NamespaceNotSelected",
        "ListenerSet team-a/no-set": "LabelSaysNo",
    }
    assert "tier" not in told["Gateway team-c/gw"]["message"]
    assert "team-c" in told["Gateway team-c/gw"]["message"]
    metrics = await w.metrics()
    assert metrics['ai_gateway_left_out_total{kind="Gateway",listener="",object="team-b/refused",reason="LabelSaysNo"}'] == 1
    log = w.log.read_text()
    assert log.count("listener left out ") == 3
    assert "team-b/refused has the label ai-gateway.envoyproxy.io/managed: false" in log


async def test_labels_change_at_run_time(world: tuple[AiWorld, Ports]) -> None:
    w, ports = world
    await answers(world, "refused", 404)
    w.p.write("refused.yaml", gateway("team-b", "refused", ports["refused"]))
    await answers(world, "refused", 200)
    w.p.write("team-a.yaml", gateway("team-a", "gw", ports["team-a"], labels=NO))
    await answers(world, "team-a", 404)
    assert await asked(world, "main") == 200
    only = "{ai-gateway.envoyproxy.io/managed.http: 'false'}"
    main = w.p.folder / "main.yaml"
    main.write_text(main.read_text().replace("name: gw, namespace: default, labels: {}", f"name: gw, namespace: default, labels: {only}"))
    await answers(world, "main", 404)
    assert await asked(world, "main", "second.example.com") == 200
    w.p.write("team-a.yaml", gateway("team-a", "gw", ports["team-a"]))
    await answers(world, "team-a", 200)
    w.p.write("namespaces.yaml", NAMESPACES.replace("tier: none", "tier: gold"))
    await answers(world, "outside", 200)
    assert (await w.metrics())[
        'ai_gateway_left_out_now{kind="Gateway",listener="http",object="default/gw",reason="LabelSaysNo",route="default/chat"}'
    ] == 1


async def test_merged_gateways_are_served_by_one_fleet(tmp_path: Path) -> None:
    first, second, third = free_port(), free_port(), free_port()
    merged = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: headgate}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: merging, namespace: default}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: merging}
spec: {mergeGateways: true}
"""
    objects = {
        "class": merged,
        "one": gateway("team-a", "one", first),
        "two": gateway("envoy-gateway-tests", "two", second),
        "three": gateway("team-b", "three", third, labels=NO),
        "route": route(RULES),
    }
    async with ai_world(tmp_path, **objects) as w:
        await w.answers("gpt-4o", port=first)
        await w.answers("gpt-4o", port=second)
        await w.answers("gpt-4o", 404, port=third)
        assert len(list((w.p.layout.root / "envoy").glob("*/envoy.log"))) == 1


async def test_the_objects_that_the_readme_runs(tmp_path: Path) -> None:
    folder = CONFIG.parent / "objects"
    models = (folder / "models.yaml").read_text().replace("9400", "OPENAI").replace("9401", "ANTHROPIC")
    async with ai_world(tmp_path, **{"class": (folder / "gateway.yaml").read_text().replace("8888", "PORT"), "backends": models}) as w:
        await w.answers("gpt-4o", x_server="openai")
        await w.answers("claude-x", x_server="anthropic")
        assert w.anthropic.seen[-1][1]["x-api-key"] == "not-a-real-key"
        w.openai.broken = 500
        await w.answers("gpt-4o", x_server="anthropic")
        assert w.anthropic.seen[-1][2]["model"] == "claude-sonnet-4-5"
