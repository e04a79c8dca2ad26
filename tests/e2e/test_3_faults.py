"""Each part is killed, scaled and replaced while requests and edits go on: no request fails, no edit gets lost."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import subprocess
import time
from typing import Any

import pytest

from tests.e2e.cluster import NAMESPACE, SERVICES, Cluster, fetched, of_gateway, until
from tests.e2e.steady import nothing_fails


def pods(cluster: Cluster, component: str) -> list[str]:
    return [p["metadata"]["name"] for p in cluster.staying(f"app.kubernetes.io/component={component}")]


def kill(cluster: Cluster, pod: str) -> None:
    cluster.kubectl("delete", "pod", "-n", NAMESPACE, pod, "--grace-period=0", "--force")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_killed(installed: Cluster, quickstart: str, service: str) -> None:
    with nothing_fails(installed, quickstart):
        for pod in pods(installed, service):
            kill(installed, pod)
        installed.rolled_out("deployment", f"headgate-{service}")


def test_nats_is_killed_with_its_disk(installed: Cluster, quickstart: str) -> None:
    with nothing_fails(installed, quickstart):
        kill(installed, "headgate-nats-0")
        until(lambda: installed.get("pod", "headgate-nats-0")["metadata"].get("deletionTimestamp") is None)
        installed.rolled_out("statefulset", "headgate-nats")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_scaled_to_two_and_back(installed: Cluster, quickstart: str, service: str) -> None:
    with nothing_fails(installed, quickstart):
        for replicas in (2, 1):
            installed.kubectl("scale", f"deployment/headgate-{service}", "-n", NAMESPACE, f"--replicas={replicas}")
            installed.rolled_out("deployment", f"headgate-{service}")
            until(lambda replicas=replicas: len(pods(installed, service)) == replicas)  # type: ignore[misc]


def test_a_proxy_is_told_to_go(installed: Cluster, quickstart: str) -> None:
    """It drains: who is connected is sent away in order. A connection that a client takes up at that moment is its to open again."""
    before = until(lambda: len(found := installed.proxies("eg")) == 2 and found, 90)
    with nothing_fails(installed, quickstart, retries=True):
        installed.kubectl("delete", "pod", "-n", NAMESPACE, before[0], timeout=120)
        until(lambda: len(set(installed.proxies("eg"))) == 2)
        installed.rolled_out("deployment", fleet(installed))


def test_a_proxy_is_killed(installed: Cluster, quickstart: str) -> None:
    before = until(lambda: len(found := installed.proxies("eg")) == 2 and found, 90)
    with nothing_fails(installed, quickstart, retries=True):
        kill(installed, before[0])
        installed.rolled_out("deployment", fleet(installed))


def fleet(cluster: Cluster) -> str:
    (found,) = cluster.items("deployment", selector=of_gateway("eg"))
    name: str = found["metadata"]["name"]
    return name


def test_backends_are_replaced_one_by_one(installed: Cluster, quickstart: str) -> None:
    before = {p["metadata"]["name"] for p in installed.items("pod", "quickstart")}
    with nothing_fails(installed, quickstart) as traffic:
        installed.kubectl("rollout", "restart", "deployment/backend", "-n", "quickstart")
        installed.rolled_out("deployment", "backend", "quickstart")
        now = {p["metadata"]["name"]: p for p in installed.items("pod", "quickstart") if p["metadata"]["name"] not in before}
        time.sleep(2)  # the last of them is to be seen by the traffic
    assert len(now) == 2
    for name, pod in now.items():
        ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]
        late = traffic.summary.pods[name] - time.mktime(time.strptime(ready, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone
        # the cluster tells whole seconds
        assert late < 2, f"{name} got its first request {late:.1f} s after it was ready"


def test_the_api_server_is_away_for_a_while(installed: Cluster, quickstart: str) -> None:
    """Where there are commands that stop and continue it."""
    stop, go = (os.environ.get(f"HEADGATE_E2E_API_{what}") for what in ("STOP", "CONTINUE"))
    if not stop or not go:
        pytest.skip("HEADGATE_E2E_API_STOP and HEADGATE_E2E_API_CONTINUE name no commands")
    with nothing_fails(installed, quickstart):
        subprocess.run(shlex.split(stop), check=True)
        try:
            time.sleep(60)
        finally:
            subprocess.run(shlex.split(go), check=True)
        until(lambda: installed.get("gateway", "eg", "quickstart"), 60)


def test_proxies_of_different_replicas_hold_the_same(installed: Cluster, quickstart: str) -> None:
    """Byte for byte, but for when it came and from whom; each resource's content digest is in its version."""
    installed.kubectl("scale", "deployment/headgate-xds-server", "-n", NAMESPACE, "--replicas=2")
    try:
        installed.rolled_out("deployment", "headgate-xds-server")
        until(lambda: len(pods(installed, "xds-server")) == 2)
        proxies = until(lambda: len(found := installed.proxies("eg")) == 2 and found, 90)

        def spread() -> bool:
            """Each proxy is connected to another one; a new connection is made until it is so."""
            streams = [_streams(installed, p) for p in pods(installed, "xds-server")]
            if sorted(streams) == [1, 1]:
                return True
            installed.kubectl("delete", "pod", "-n", NAMESPACE, installed.proxies("eg")[0], timeout=120)
            installed.rolled_out("deployment", fleet(installed))
            return False

        until(spread, 240, every=3)
        proxies = installed.proxies("eg")
        first, second = (_configuration(installed, p) for p in proxies)
        assert [*difflib.unified_diff(first.splitlines(), second.splitlines(), n=1, lineterm="")] == []
        assert "quickstart" in first
    finally:
        installed.kubectl("scale", "deployment/headgate-xds-server", "-n", NAMESPACE, "--replicas=1")


def _streams(cluster: Cluster, pod: str) -> int:
    with cluster.forwarded(pod, 19001) as url:
        found: int = until(lambda: fetched(url + "/status"))["streams"]
        return found


def _configuration(cluster: Cluster, proxy: str) -> str:
    with cluster.forwarded(proxy, 19000) as url:
        return json.dumps(_timeless(until(lambda: fetched(url + "/config_dump?include_eds"))), sort_keys=True, indent=1)


def _timeless(found: Any) -> Any:
    """Without times, without the bootstrap, which names the pod, and of versions the content's digest: what stands before it is the IR
    version with which a replica first had that content (docs/adr/0005)."""
    if isinstance(found, list):
        return sorted(
            (_timeless(each) for each in found if "Bootstrap" not in str(each)[:100]), key=lambda e: json.dumps(e, sort_keys=True)
        )
    if isinstance(found, dict):
        kept = {k: _timeless(v) for k, v in found.items() if k not in ("last_updated", "client_status")}
        if "version_info" in kept:
            kept["version_info"] = kept["version_info"].partition("-")[2]
        return kept
    return found
