"""The whole pipeline with the objects of a real API server: what tests write goes there, and statuses are read from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from services.cli.certgen import SEALING_KEY
from services.cli.up import plan
from shared.core.kinds import KINDS
from shared.runtime.config import EnvoyGateway, KubernetesResource, ResourceProvider, Watch
from tests.integration.pipeline import Pipeline
from tests.kube.apiserver import ApiServer
from tests.plurals import plural


class ClusterPipeline(Pipeline):
    """A Pipeline whose folder is a namespace."""

    def __init__(self, root: Path, cluster: ApiServer, namespace: str) -> None:
        super().__init__(root)
        self.cluster = cluster
        self.namespace = namespace

    async def __aenter__(self) -> ClusterPipeline:
        await super().__aenter__()
        made = plan.configuration(EnvoyGateway(), self.folder, self.layout, self.nats.port, self.layout.certs / SEALING_KEY)
        custom = made.provider.custom
        assert custom is not None
        watch = Watch(type="Namespaces", namespaces=(self.namespace,))
        resource = ResourceProvider(type="Kubernetes", kubernetes=KubernetesResource(watch=watch))
        self.layout.config.write_text(plan.text(replace(made, provider=replace(made.provider, custom=replace(custom, resource=resource)))))
        return self

    def write(self, name: str, text: str) -> None:
        for obj in yaml.safe_load_all(text):
            self.put(obj)

    def put(self, obj: dict[str, Any]) -> dict[str, Any]:
        """One object, into our namespace."""
        if self._namespaced(obj["apiVersion"], obj["kind"]):
            obj["metadata"]["namespace"] = self.namespace
        return self.cluster.apply(self.path(obj["apiVersion"], obj["kind"]), obj)

    def path(self, api_version: str, kind: str) -> str:
        """Of all objects of a kind."""
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        several = plural(kind)
        return f"{base}/namespaces/{self.namespace}/{several}" if self._namespaced(api_version, kind) else f"{base}/{several}"

    def status(self, group: str, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        version = "v1alpha1" if group == "gateway.envoyproxy.io" else "v1"
        found = self.cluster.get(f"{self.path(f'{group}/{version}' if group else version, kind)}/{name}")
        return found.get("status") or {}

    @staticmethod
    def _namespaced(api_version: str, kind: str) -> bool:
        group = api_version.rpartition("/")[0]
        return KINDS[group, kind].namespaced
