"""What these tests need: a cluster that they may install on and break, and an image that it has. See docs/contributing.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import NAMESPACE, REPOSITORY, Cluster
from tests.e2e.steady import edit

CRDS = Path(os.environ.get("HEADGATE_E2E_CRDS", REPOSITORY.parent / "shared" / "crds"))
VALUES = ("config.envoyGateway.extensionApis.enableEnvoyPatchPolicy=true", "config.envoyGateway.extensionApis.enableBackend=true")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    missing = [name for name in ("KUBECONFIG", "HEADGATE_E2E_IMAGE") if not os.environ.get(name)]
    missing += [program for program in ("kubectl", "helm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs a cluster; not there: {', '.join(missing)}")
    made = Cluster(os.environ["HEADGATE_E2E_IMAGE"])
    if CRDS.exists():
        made.kubectl("apply", "--server-side", "--force-conflicts", *(a for f in sorted(CRDS.glob("*.yaml")) for a in ("-f", str(f))))
    made.namespace(NAMESPACE)
    # pods that could not run on a strict cluster do not start here
    made.kubectl("label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    return made


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """By Helm, for all tests but those of other ways to install."""
    cluster.install_with_helm(*VALUES)
    cluster.installed()
    yield cluster
    if not os.environ.get("HEADGATE_E2E_KEEP"):
        cluster.uninstall_with_helm()


@pytest.fixture(scope="session")
def quickstart(installed: Cluster) -> Iterator[str]:
    """The quickstart with two proxies and two backends; its address."""
    installed.namespace("quickstart")
    installed.apply_file("quickstart.yaml")
    installed.apply_file("two-proxies.yaml")
    installed.rolled_out("deployment", "backend", "quickstart")
    address = installed.address("eg", "quickstart")
    edit(installed, 1)
    yield address
    if not os.environ.get("HEADGATE_E2E_KEEP"):
        installed.delete_file("two-proxies.yaml")
        installed.delete_file("quickstart.yaml")
