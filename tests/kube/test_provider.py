"""The Kubernetes provider on a real API server: nothing is missed, nothing of others is touched, nothing private is read unasked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.resource_watcher.provider import Update
from services.resource_watcher.providers.kubernetes import KubernetesProvider
from services.resource_watcher.providers.kubernetes.releases import FINALIZER
from shared.core.kinds import KINDS
from shared.core.refs import ObjectRef
from shared.kube.client import Kube
from shared.kube.discovery import find
from shared.kube.watching import Watcher
from shared.runtime.config import EnvoyGateway, NamespaceSelector, Provider, Watch
from shared.runtime.config import KubernetesProvider as KubernetesConfig
from shared.runtime.extensions import ExtensionManager, GroupVersionKind
from shared.runtime.settings import Settings
from shared.testing.wait import until
from tests.kube.apiserver import DEFINITIONS, ApiServer, definition

pytestmark = pytest.mark.timeout(240)

GATEWAY = "gateway.networking.k8s.io"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


class Running:
    """A provider at work, and what it has told so far."""

    def __init__(self, provider: KubernetesProvider) -> None:
        self.provider = provider
        self.objects: dict[ObjectRef, dict[str, Any]] = {}
        self.updates: list[Update] = []

    async def sink(self, update: Update) -> None:
        self.updates.append(update)
        for ref, found in update.changes.items():
            if found is None:
                self.objects.pop(ref, None)
            else:
                self.objects[ref] = found

    @property
    def complete(self) -> bool:
        return any(u.complete for u in self.updates)


@contextlib.asynccontextmanager
async def running(
    cluster: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    watch: Watch | None = None,
    *wants: ObjectRef,
    extension: ExtensionManager | None = None,
) -> AsyncIterator[Running]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    provider = Provider(type="Kubernetes", kubernetes=KubernetesConfig(watch=watch))
    config = EnvoyGateway(provider=provider, extension_manager=extension)
    made = Running(KubernetesProvider(Settings(service="resource-watcher", config=config)))
    made.provider.expect(frozenset(wants))
    stop = asyncio.Event()
    task = asyncio.create_task(made.provider.run(made.sink, stop))
    try:
        await until(lambda: made.complete or task.done(), 60)
        if task.done():
            task.result()
        yield made
    finally:
        stop.set()
        await task


def route(namespace: str, name: str, path: str = "/") -> dict[str, Any]:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": "svc", "port": 80}]}
    spec = {"parentRefs": [{"name": "gw"}], "rules": [rule]}
    return {"apiVersion": f"{GATEWAY}/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def routes(namespace: str) -> str:
    return f"/apis/{GATEWAY}/v1/namespaces/{namespace}/httproutes"


def ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(GATEWAY, "HTTPRoute", namespace, name)


def path_of(found: dict[str, Any]) -> str:
    value: str = found["spec"]["rules"][0]["matches"][0]["path"]["value"]
    return value


async def test_what_is_there_and_every_change_is_told(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.apply(routes(namespace), route(namespace, "first"))
    async with running(cluster, monkeypatch) as r:
        assert path_of(r.objects[ref(namespace, "first")]) == "/"
        assert {o.kind for o in r.objects} >= {"Namespace", "Service"}, "what a cluster always has"
        cluster.apply(routes(namespace), route(namespace, "second", "/2"))
        await until(lambda: ref(namespace, "second") in r.objects)
        cluster.apply(routes(namespace), route(namespace, "second", "/3"))
        await until(lambda: path_of(r.objects[ref(namespace, "second")]) == "/3")
        cluster.delete(f"{routes(namespace)}/first")
        await until(lambda: ref(namespace, "first") not in r.objects)


async def test_a_list_may_have_many_pages(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kube.watching.PAGE", 3)
    for n in range(10):
        cluster.apply(routes(namespace), route(namespace, f"r{n}"))
    async with running(cluster, monkeypatch) as r:
        assert sum(o.namespace == namespace and o.kind == "HTTPRoute" for o in r.objects) == 10


async def test_a_server_that_is_away_is_waited_for_and_nothing_is_missed(
    cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.apply(routes(namespace), route(namespace, "kept"))
    cluster.apply(routes(namespace), route(namespace, "goes"))
    async with running(cluster, monkeypatch) as r:
        cluster.kill()
        before = len(r.updates)
        await asyncio.sleep(0.5)  # how long it is away, not a wait for anything
        assert all(not any(v is None for v in u.changes.values()) for u in r.updates[before:]), "away is not gone"
        cluster.start()
        cluster.delete(f"{routes(namespace)}/goes")
        cluster.apply(routes(namespace), route(namespace, "new"))
        await until(lambda: ref(namespace, "new") in r.objects and ref(namespace, "goes") not in r.objects, 60)
        assert ref(namespace, "kept") in r.objects


async def test_a_past_that_is_gone_is_made_up_for_by_a_list(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """410: what vanished while nobody watched is told as gone, and what is the same is not told again."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    for name in ("same", "goes"):
        cluster.apply(routes(namespace), route(namespace, name))
    async with await Kube.connect("test") as kube:
        resource = await find(kube, KINDS[GATEWAY, "HTTPRoute"])
        assert resource is not None
        watcher = Watcher(kube, resource, namespace=namespace)
        async with contextlib.aclosing(watcher.batches()) as batches:
            first = await anext(batches)
            assert first.listed
            assert {c.ref.name for c in first.changes} == {"same", "goes"}
            cluster.delete(f"{routes(namespace)}/goes")
            cluster.apply(routes(namespace), route(namespace, "new"))
            watcher._version = "1"  # so old that the server has forgotten
            second = await anext(batches)
            assert second.listed
            assert {c.ref.name: c.object is None for c in second.changes} == {"goes": True, "new": False}


async def test_private_objects_are_read_only_when_something_asks(
    cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def secret(name: str, value: bytes) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
        cluster.apply(f"/api/v1/namespaces/{namespace}/secrets", body | {"data": {"key": base64.b64encode(value).decode()}})

    def at(name: str) -> ObjectRef:
        return ObjectRef("", "Secret", namespace, name)

    for name in ("wanted", "asked", "nobodys"):
        secret(name, b"1")
    async with running(cluster, monkeypatch, None, at("wanted")) as r:
        assert {o.name for o in r.objects if o.kind == "Secret" and o.namespace == namespace} == {"wanted"}
        assert await r.provider.want(at("nothing"), True) == {}
        assert set(await r.provider.want(at("asked"), True)) == {at("asked")}
        secret("asked", b"2")
        secret("nobodys", b"2")
        await until(lambda: r.objects.get(at("asked"), {}).get("data") == {"key": base64.b64encode(b"2").decode()})
        secret("nothing", b"new")
        await until(lambda: at("nothing") in r.objects)
        assert at("nobodys") not in r.objects


async def test_a_selector_takes_namespaces_in_and_lets_them_go(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.apply(routes(namespace), route(namespace, "r"))
    watch = Watch(type="NamespaceSelector", namespace_selector=NamespaceSelector(match_labels={"ours": namespace}))

    def label(**labels: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
        cluster.apply("/api/v1/namespaces", body)

    async with running(cluster, monkeypatch, watch) as r:
        assert ref(namespace, "r") not in r.objects
        label(ours=namespace)
        await until(lambda: ref(namespace, "r") in r.objects)
        label(other="x")
        await until(lambda: ref(namespace, "r") not in r.objects)


async def test_only_the_named_namespaces_count(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = f"{namespace}-other"
    cluster.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    for each in (namespace, other):
        cluster.apply(routes(each), route(each, "r"))
    async with running(cluster, monkeypatch, Watch(type="Namespaces", namespaces=(namespace,))) as r:
        assert ref(namespace, "r") in r.objects
        assert ref(other, "r") not in r.objects


def entry(controller: str, reason: str) -> dict[str, Any]:
    condition = {"type": "Accepted", "status": "True", "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"parentRef": {"name": "gw"}, "controllerName": controller, "conditions": [condition]}


class Shown:
    """A route's parents as the server has them, and a foreign controller that writes there."""

    def __init__(self, cluster: ApiServer, namespace: str, name: str = "r") -> None:
        self._cluster, self._path = cluster, f"{routes(namespace)}/{name}"

    def __call__(self) -> list[tuple[str, str]]:
        status = self._cluster.get(self._path).get("status") or {}
        return sorted((p["controllerName"], p["conditions"][0]["reason"]) for p in status.get("parents") or ())

    def write(self, *entries: dict[str, Any], version: str = "") -> bool:
        body: dict[str, Any] = {"status": {"parents": entries}} | ({"metadata": {"resourceVersion": version}} if version else {})
        answer = self._cluster.http.patch(f"{self._path}/status", json=body, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.is_success or answer.status_code == 409, answer.text
        return answer.is_success

    @property
    def version(self) -> str:
        found: str = self._cluster.get(self._path)["metadata"]["resourceVersion"]
        return found


OTHER = "example.com/other"


async def test_a_status_goes_beside_those_of_others(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.apply(routes(namespace), route(namespace, "r"))
    shown, at = Shown(cluster, namespace), ref(namespace, "r")
    shown.write(entry(OTHER, "Theirs"))
    async with running(cluster, monkeypatch) as r:
        await r.provider.write_status(at, {"parents": [entry(CONTROLLER, "Ours")]})
        assert shown() == [(OTHER, "Theirs"), (CONTROLLER, "Ours")]
        version = shown.version
        await r.provider.write_status(at, {"parents": [entry(CONTROLLER, "Ours")]})
        assert shown.version == version, "nothing new, nothing written"
        shown.write(entry(OTHER, "Changed"), entry(CONTROLLER, "Ours"))
        await r.provider.write_status(at, {"parents": [entry(CONTROLLER, "New")]})
        assert shown() == [(OTHER, "Changed"), (CONTROLLER, "New")]
        mine = await r.provider.read_status(at)
        assert mine is not None
        assert [p["controllerName"] for p in mine["parents"]] == [CONTROLLER]
        await r.provider.write_status(at, None)
        assert shown() == [(OTHER, "Changed")]


async def test_a_status_that_is_ours_alone_can_be_taken_back(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a route names another Gateway, or a Gateway another class. A server refuses a status that is gone altogether."""
    monkeypatch.setattr("services.resource_watcher.providers.kubernetes.writing.TRIES", 1)
    cluster.apply(routes(namespace), route(namespace, "r"))
    spec = {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    gateways = f"/apis/{GATEWAY}/v1/namespaces/{namespace}/gateways"
    cluster.apply(gateways, {"apiVersion": f"{GATEWAY}/v1", "kind": "Gateway", "metadata": {"name": "gw"}, "spec": spec})
    shown, gateway = Shown(cluster, namespace), ObjectRef(GATEWAY, "Gateway", namespace, "gw")
    (ours,) = entry(CONTROLLER, "Ours")["conditions"]
    async with running(cluster, monkeypatch) as r:
        await r.provider.write_status(ref(namespace, "r"), {"parents": [entry(CONTROLLER, "Ours")]})
        await r.provider.write_status(gateway, {"conditions": [ours]})
        assert shown() == [(CONTROLLER, "Ours")]
        assert ours["type"] in {c["type"] for c in cluster.get(f"{gateways}/gw")["status"]["conditions"] if c["reason"] == "Ours"}
        await r.provider.write_status(ref(namespace, "r"), None)
        await r.provider.write_status(gateway, None)
        assert shown() == []
        assert "Ours" not in {c["reason"] for c in cluster.get(f"{gateways}/gw")["status"]["conditions"]}


async def test_two_controllers_that_write_at_once_lose_nothing(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.apply(routes(namespace), route(namespace, "r"))
    shown, at = Shown(cluster, namespace), ref(namespace, "r")

    def theirs(n: int) -> None:
        """As controllers do that read, change and write, and begin again at a conflict."""
        while True:
            found = cluster.get(f"{routes(namespace)}/r")
            kept = [p for p in (found.get("status") or {}).get("parents") or () if p["controllerName"] != OTHER]
            if shown.write(*kept, entry(OTHER, f"Theirs{n}"), version=found["metadata"]["resourceVersion"]):
                return

    async def many() -> None:
        for n in range(15):
            await asyncio.to_thread(theirs, n)

    async with running(cluster, monkeypatch) as r:
        writing = asyncio.create_task(many())
        for n in range(15):
            await r.provider.write_status(at, {"parents": [entry(CONTROLLER, f"Ours{n}")]})
        await writing
        await until(lambda: shown() == [(OTHER, "Theirs14"), (CONTROLLER, "Ours14")])


async def test_a_status_that_is_lost_is_written_again(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody takes it away, or the object is replaced by one of the same name: nothing else has changed that would bring it back."""
    cluster.apply(routes(namespace), route(namespace, "r"))
    shown, at = Shown(cluster, namespace), ref(namespace, "r")
    async with running(cluster, monkeypatch) as r:
        await r.provider.write_status(at, {"parents": [entry(CONTROLLER, "Ours")]})
        shown.write(entry(OTHER, "Alone"))
        await until(lambda: shown() == [(OTHER, "Alone"), (CONTROLLER, "Ours")])
        cluster.delete(f"{routes(namespace)}/r")
        cluster.apply(routes(namespace), route(namespace, "r"))
        await until(lambda: shown() == [(CONTROLLER, "Ours")])


async def test_a_status_that_the_server_refuses_stops_no_other(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.resource_watcher.providers.kubernetes.writing.TRIES", 1)
    for name in ("r", "bad"):
        cluster.apply(routes(namespace), route(namespace, name))
    async with running(cluster, monkeypatch) as r:
        bad = entry(CONTROLLER, "not a reason, with spaces")
        await asyncio.gather(
            r.provider.write_status(ref(namespace, "bad"), {"parents": [bad]}),
            r.provider.write_status(ref(namespace, "r"), {"parents": [entry(CONTROLLER, "Ours")]}),
            r.provider.write_status(ref(namespace, "nowhere"), {"parents": [entry(CONTROLLER, "Ours")]}),
        )
        assert Shown(cluster, namespace)() == [(CONTROLLER, "Ours")]
        assert Shown(cluster, namespace, "bad")() == []


async def test_a_kind_that_is_not_installed_is_told_and_found_when_it_comes(
    cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.resource_watcher.providers.kubernetes.provider.LOOK_AGAIN", 0.2)
    async with running(cluster, monkeypatch) as r:
        assert any("ServiceImport" in p.where for p in r.updates[-1].problems)
        group, plural = "multicluster.x-k8s.io", "serviceimports"
        cluster.apply(DEFINITIONS, definition(group, "ServiceImport", plural, "v1alpha1"))
        body = {"apiVersion": f"{group}/v1alpha1", "kind": "ServiceImport", "metadata": {"name": "s", "namespace": namespace}, "spec": {}}

        async def created() -> bool:
            answer = cluster.http.post(f"/apis/{group}/v1alpha1/namespaces/{namespace}/{plural}", json=body)
            return answer.is_success

        await until(created, 30)
        await until(lambda: ObjectRef(group, "ServiceImport", namespace, "s") in r.objects, 30)
        await asyncio.to_thread(cluster.uninstall, f"{plural}.{group}")


async def test_kinds_of_extension_servers_are_found_and_told_their_status(
    cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the version that the configuration names, whatever the server likes best."""
    monkeypatch.setattr("services.resource_watcher.providers.kubernetes.provider.LOOK_AGAIN", 0.2)
    group, plural = "example.io", "policies"
    kind = GroupVersionKind(group=group, version="v1alpha1", kind="Policy")
    cluster.apply(DEFINITIONS, definition(group, "Policy", plural, "v1", "v1alpha1"))
    body = {"apiVersion": f"{group}/v1", "kind": "Policy", "metadata": {"name": "p", "namespace": namespace}, "spec": {"any": [1]}}
    at = ObjectRef(group, "Policy", namespace, "p")

    async def created() -> bool:
        return cluster.http.post(f"/apis/{group}/v1/namespaces/{namespace}/{plural}", json=body).is_success

    await until(created, 30)
    async with running(cluster, monkeypatch, extension=ExtensionManager(policy_resources=(kind,))) as r:
        await until(lambda: at in r.objects, 30)
        assert r.objects[at]["apiVersion"] == f"{group}/v1alpha1"
        assert r.objects[at]["spec"] == {"any": [1]}
        entry = {"ancestorRef": {"name": "gw"}, "controllerName": CONTROLLER, "conditions": []}
        await r.provider.write_status(at, {"ancestors": [entry]})
        shown = cluster.get(f"/apis/{group}/v1/namespaces/{namespace}/{plural}/p")["status"]["ancestors"]
        assert [a["controllerName"] for a in shown] == [CONTROLLER]
    await asyncio.to_thread(cluster.uninstall, f"{plural}.{group}")


async def test_a_watch_notices_when_nobody_is_there(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without traffic is asked for life; /proc says of each which timer runs for it."""
    async with running(cluster, monkeypatch):
        rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        timers = [row[5].partition(":")[0] for row in rows if row[2].endswith(f":{cluster.port:04X}") and row[3] == "01"]
        assert "02" in timers, "keepalive"


async def test_a_class_that_envoy_gateway_held_goes_when_no_gateway_uses_it(
    cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.resource_watcher.providers.kubernetes.releases.LOOK_AGAIN", 0.05)
    classes, gateways = f"/apis/{GATEWAY}/v1/gatewayclasses", f"/apis/{GATEWAY}/v1/namespaces/{namespace}/gateways"

    def class_(name: str, controller: str = CONTROLLER) -> str:
        metadata = {"name": f"{namespace}-{name}", "finalizers": ["example.com/theirs", FINALIZER]}
        body = {"apiVersion": f"{GATEWAY}/v1", "kind": "GatewayClass", "metadata": metadata, "spec": {"controllerName": controller}}
        cluster.apply(classes, body)
        cluster.delete(f"{classes}/{namespace}-{name}")
        return f"{classes}/{namespace}-{name}"

    def held(path: str) -> list[str]:
        found: list[str] = cluster.get(path)["metadata"]["finalizers"]
        return found

    spec = {"gatewayClassName": f"{namespace}-used", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    cluster.apply(gateways, {"apiVersion": f"{GATEWAY}/v1", "kind": "Gateway", "metadata": {"name": "gw"}, "spec": spec})
    async with running(cluster, monkeypatch):
        used, unused, foreign = class_("used"), class_("unused"), class_("foreign", "example.com/other")
        await until(lambda: held(unused) == ["example.com/theirs"])
        assert FINALIZER in held(used)
        cluster.delete(f"{gateways}/gw")
        await until(lambda: held(used) == ["example.com/theirs"])
        assert FINALIZER in held(foreign)
