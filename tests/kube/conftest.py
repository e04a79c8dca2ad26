"""One API server for all tests of this folder; each test works in a namespace of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.api import crds
from tests.integration.pipeline import echo
from tests.kube.apiserver import CRDS, ApiServer, assets
from tests.kube.pipeline import ClusterPipeline

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    if assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver")
    folder = tmp_path_factory.mktemp("kube")
    ours = folder / "crds.yaml"
    ours.write_text(crds.text())
    with ApiServer(folder) as server:
        server.install(ours, *(f for f in sorted(CRDS.glob("*.yaml")) if not f.name.startswith(crds.GROUP)))
        yield server


@pytest.fixture
def namespace(cluster: ApiServer) -> str:
    name = f"test-{next(_NUMBERS)}"
    cluster.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"test": name}}})
    return name


@pytest_asyncio.fixture
async def p(cluster: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClusterPipeline]:
    """A pipeline whose route `/good` is served."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    async with echo("one") as port, ClusterPipeline(tmp_path, cluster, namespace) as p:
        await p.start_with_good(port, deadline=60)
        yield p
