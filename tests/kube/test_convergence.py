"""Many objects at once, and a network that comes apart: in the end each status is right, and no more was written than had to be."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.cli.certgen import SEALING_KEY
from services.cli.up import plan
from shared.runtime.config import ClientRateLimit, EnvoyGateway, KubernetesClient, KubernetesResource, ResourceProvider, Watch
from shared.testing.wait import until
from tests.kube.apiserver import DEFINITIONS, ApiServer, definition
from tests.kube.link import Link
from tests.kube.pipeline import ClusterPipeline

pytestmark = pytest.mark.timeout(300)

GATEWAY = "gateway.networking.k8s.io"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
MANY = int(os.environ.get("HEADGATE_MANY_OBJECTS", "1000"))
QPS = 400
AT_ONCE = 16


class Writing(ClusterPipeline):
    """The services that statuses come from, allowed so many requests a second."""

    async def __aenter__(self) -> Writing:
        await super().__aenter__()
        made = plan.configuration(EnvoyGateway(), self.folder, self.layout, self.nats.port, self.layout.certs / SEALING_KEY)
        custom = made.provider.custom
        assert custom is not None
        client = KubernetesClient(rate_limit=ClientRateLimit(qps=QPS, burst=QPS))
        kubernetes = KubernetesResource(watch=Watch(type="Namespaces", namespaces=(self.namespace,)), client=client)
        provider = replace(made.provider, custom=replace(custom, resource=ResourceProvider(type="Kubernetes", kubernetes=kubernetes)))
        self.layout.config.write_text(plan.text(replace(made, provider=provider)))
        return self

    def put_route(self, name: str, **rule: Any) -> None:
        spec = {"parentRefs": [{"name": "gw"}], "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}], **rule}]}
        self.put({"apiVersion": f"{GATEWAY}/v1", "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec})

    def delete_route(self, name: str) -> None:
        self.cluster.delete(f"{self.path(f'{GATEWAY}/v1', 'HTTPRoute')}/{name}")

    def routes(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.cluster.get(self.path(f"{GATEWAY}/v1", "HTTPRoute"))["items"]
        return items

    def writes(self) -> int:
        """How often a status of a route was written, as the server counts."""
        text = self.cluster.http.get("/metrics").text
        found = re.findall(r'^apiserver_request_total\{[^}]*resource="httproutes"[^}]*subresource="status"[^}]*\} (\d+)', text, re.M)
        return sum(map(int, found))


def settled(route: dict[str, Any]) -> bool:
    """What we say of it speaks of the object as it is now."""
    parents = [p for p in (route.get("status") or {}).get("parents") or () if p["controllerName"] == CONTROLLER]
    return bool(parents) and all(c["observedGeneration"] == route["metadata"]["generation"] for p in parents for c in p["conditions"])


async def create(p: Writing, count: int) -> None:
    """Routes `r0` … as fast as the server takes them."""
    path, numbers = p.path(f"{GATEWAY}/v1", "HTTPRoute"), iter(range(count))

    async def some(http: httpx.AsyncClient) -> None:
        for n in numbers:
            rule = {"matches": [{"path": {"type": "PathPrefix", "value": f"/r{n}"}}]}
            body = {"apiVersion": f"{GATEWAY}/v1", "kind": "HTTPRoute", "metadata": {"name": f"r{n}"}}
            answer = await http.post(path, json=body | {"spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]}})
            assert answer.is_success, answer.text

    http = p.cluster.http
    async with httpx.AsyncClient(base_url=http.base_url, headers=http.headers, verify=p.cluster.trust(), timeout=30) as client:
        await asyncio.gather(*(some(client) for _ in range(AT_ONCE)))


@pytest_asyncio.fixture
async def p(cluster: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writing]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    async with Writing(tmp_path, cluster, namespace) as p:
        p.gateway()
        p.nats.start()
        yield p


async def all_settled(p: Writing, deadline: float) -> None:
    async def whole() -> bool:
        return all(map(settled, await asyncio.to_thread(p.routes)))

    await until(whole, deadline, every=0.5)


async def test_many_objects_have_their_statuses_each_written_once(p: Writing) -> None:
    """Also after a restart nothing is written but what has changed. `HEADGATE_MANY_OBJECTS` is how many."""
    await create(p, MANY)
    before = p.writes()
    p.start("resource-watcher", "translator")
    await all_settled(p, 60 + MANY / 20)
    assert p.writes() - before == MANY
    p.stop("resource-watcher")
    p.start("resource-watcher")
    await asyncio.to_thread(p.put_route, "last")
    await all_settled(p, 60)
    assert p.writes() - before == MANY + 1


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_what_is_changed_behind_a_broken_network_is_right_when_it_is_whole(
    p: Writing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Literal["cut", "silent"]
) -> None:
    """The API server goes on without us: objects are edited, replaced, removed and made, others write statuses."""
    async with Link(p.cluster.port) as link:
        monkeypatch.setenv("KUBECONFIG", str(link.kubeconfig(p.cluster.kubeconfig, tmp_path / "kubeconfig")))
        for name in ("edited", "replaced", "removed", "shared", "kept"):
            p.put_route(name)
        p.start("resource-watcher", "translator")
        await all_settled(p, 60)
        await link.apart(how)
        filters = [{"type": "RequestRedirect", "requestRedirect": {"hostname": "example.com"}}]
        p.put_route("edited", filters=filters)
        p.put_route("edited", timeouts={"request": "5s"})
        p.delete_route("replaced")
        p.put_route("replaced", filters=filters)
        p.delete_route("removed")
        p.put_route("new")
        said = {"type": "Accepted", "status": "True", "reason": "Theirs", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        theirs: dict[str, Any] = {"parentRef": {"name": "gw"}, "controllerName": "example.com/other", "conditions": [said]}
        body = {"status": {"parents": [*p.status(GATEWAY, "HTTPRoute", "shared")["parents"], theirs]}}
        path = f"{p.path(f'{GATEWAY}/v1', 'HTTPRoute')}/shared/status"
        answer = p.cluster.http.patch(path, json=body, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.is_success, answer.text
        p.put_route("shared", filters=filters)
        await link.together()

        def right() -> bool:
            found = {r["metadata"]["name"]: r for r in p.routes()}
            return found.keys() == {"edited", "replaced", "shared", "kept", "new"} and all(map(settled, found.values()))

        await until(right, 60)
        entries = {e["controllerName"]: e for e in p.status(GATEWAY, "HTTPRoute", "shared")["parents"]}
        assert entries["example.com/other"]["conditions"] == theirs["conditions"]
        assert len(await p.stream("RESOURCES", "resources.*.HTTPRoute.>")) == 5


async def test_what_was_right_at_the_start_and_is_replaced_at_once_has_its_status(
    p: Writing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watcher that sees it replaced has never written that status, and upstream nothing is new."""
    async with Link(p.cluster.port) as link:
        monkeypatch.setenv("KUBECONFIG", str(link.kubeconfig(p.cluster.kubeconfig, tmp_path / "kubeconfig")))
        p.put_route("r")
        p.start("resource-watcher", "translator")
        await all_settled(p, 60)
        p.stop("resource-watcher")
        p.start("resource-watcher")
        p.put_route("other")
        await all_settled(p, 60)
        await link.apart("cut")
        p.delete_route("r")
        p.put_route("r")
        await link.together()
        await all_settled(p, 60)


async def test_one_of_two_watchers_works_and_the_other_goes_on_when_it_is_killed(p: Writing) -> None:
    p.put_route("before")
    p.start("resource-watcher", "translator")
    await all_settled(p, 60)
    p.start_second("resource-watcher", "resource-watcher-b")
    before = p.writes()
    await asyncio.to_thread(p.put_route, "both")
    await all_settled(p, 30)
    assert p.writes() - before == 1, "only one of them writes"
    p.kill("resource-watcher")
    await asyncio.to_thread(p.put_route, "after")
    await asyncio.to_thread(p.put_route, "before", timeouts={"request": "5s"})
    await all_settled(p, 60)
    assert p.writes() - before == 3, "and what is as it should be is not written again"


async def test_a_kind_that_is_not_installed_costs_who_refers_to_it(p: Writing) -> None:
    """Until it comes."""
    group, plural = "multicluster.x-k8s.io", "serviceimports"
    p.put_route("far", backendRefs=[{"group": group, "kind": "ServiceImport", "name": "svc", "port": 80}])
    p.put_route("near")
    p.start("resource-watcher", "translator")
    await all_settled(p, 60)
    assert (p.conditions("far")["ResolvedRefs"]["status"], p.conditions("far")["ResolvedRefs"]["reason"]) == ("False", "BackendNotFound")
    assert p.conditions("near")["ResolvedRefs"]["status"] == "True"
    assert [x["where"] for x in await p.problems() if "ServiceImport" in x["where"]] == [f"{group}/ServiceImport"]
    p.cluster.apply(DEFINITIONS, definition(group, "ServiceImport", plural, "v1alpha1"))
    try:
        body = {"apiVersion": f"{group}/v1alpha1", "kind": "ServiceImport", "metadata": {"name": "svc"}}
        spec = {"type": "ClusterSetIP", "ips": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}]}
        await until(lambda: p.put(body | {"spec": spec}), 30)
        await until(lambda: p.conditions("far")["ResolvedRefs"]["status"] == "True", 40)
        await until_no_problem(p, "ServiceImport")
    finally:
        await asyncio.to_thread(p.cluster.uninstall, f"{plural}.{group}")


async def until_no_problem(p: Writing, kind: str) -> None:
    async def gone() -> bool:
        return not [x for x in await p.problems() if kind in x["where"]]

    await until(gone, 20)
