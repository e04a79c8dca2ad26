"""The rate limit service, provisioned because the configuration asks for it: one count for all proxies, told anew when a limit changes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import NAMESPACE, Cluster, of_gateway, until
from tests.e2e.conftest import VALUES
from tests.e2e.steady import HOST, nothing_fails

REDIS = os.environ.get("HEADGATE_E2E_REDIS_IMAGE", "docker.io/library/redis:7-alpine")
BACKEND = "config.envoyGateway.rateLimit.backend"
NAME = "envoy-ratelimit"
HTTP = 10080
"""The port of a proxy's pod for the Gateway's port 80."""


class Limited:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def each_proxy(self) -> list[str]:
        return sorted(p["status"]["podIP"] for p in self.cluster.staying(of_gateway("eg")))

    def statuses(self, user: str, requests: int) -> list[int]:
        """Of so many requests, sent to the two proxies by turns."""
        one, other = self.each_proxy()
        addresses = [one, other] * requests
        marks = {"Host": HOST, "x-user-id": user}
        return [self.cluster.curl(f"http://{a}:{HTTP}/limited", headers=marks).status for a in addresses[:requests]]

    def allowed(self, requests: int) -> None:
        self.cluster.apply_file("rate-limit.yaml", requests=str(requests), redis=REDIS)


@pytest.fixture(scope="module")
def limited(installed: Cluster, quickstart: str) -> Iterator[Limited]:
    made = Limited(installed)
    made.allowed(3)
    installed.rolled_out("deployment", "redis", "redis-system")
    installed.install_with_helm(*VALUES, f"{BACKEND}.type=Redis", f"{BACKEND}.redis.url=redis.redis-system.svc.cluster.local:6379")
    installed.installed()
    until(lambda: installed.get("deployment", NAME)["status"].get("readyReplicas") == 1, 120)
    until(lambda: installed.is_true("backendtrafficpolicy", "limited", "Accepted", "quickstart"))
    until(lambda: 429 in made.statuses("somebody", 4))
    yield made
    installed.delete_file("rate-limit.yaml")
    installed.install_with_helm(*VALUES)
    installed.installed()


def test_all_proxies_count_together(limited: Limited) -> None:
    assert limited.statuses("a", 6) == [200, 200, 200, 429, 429, 429]
    assert limited.statuses("b", 4) == [200, 200, 200, 429]


def test_a_limit_that_is_raised_counts_at_once(limited: Limited) -> None:
    limited.allowed(5)
    nobody_yet = (f"nobody-{n}" for n in itertools.count())
    until(lambda: limited.statuses(next(nobody_yet), 4) == [200] * 4)
    assert limited.statuses("c", 6) == [200] * 5 + [429]


def test_nothing_fails_while_the_service_is_away_and_the_count_goes_on(limited: Limited, quickstart: str) -> None:
    cluster = limited.cluster
    (pod,) = cluster.items("pod", selector=f"app.kubernetes.io/name={NAME}")
    with nothing_fails(cluster, quickstart):
        cluster.kubectl("delete", "pod", "-n", pod["metadata"]["namespace"], pod["metadata"]["name"], "--grace-period=0", "--force")
        assert limited.statuses("e", 1) == [200], "who is not limited by configuration alone gets through"
        cluster.rolled_out("deployment", NAME)
    until(lambda: limited.statuses("c", 1) == [429])


def test_it_goes_when_nobody_asks_for_it_any_more(limited: Limited) -> None:
    cluster = limited.cluster
    cluster.install_with_helm(*VALUES)
    cluster.installed()
    kinds = "deployment,service,serviceaccount,configmap"
    labelled = ("get", kinds, "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={NAME}", "-o", "name")
    until(lambda: cluster.kubectl(*labelled).split() == [])
    # nobody is let through without the limit that somebody asked for, as with Envoy Gateway
    told = until(lambda: (c := cluster.condition("backendtrafficpolicy", "limited", "Accepted", "quickstart"))["status"] == "False" and c)
    assert "rateLimit" in told["message"]
    until(lambda: limited.statuses("e", 2) == [500, 500])
