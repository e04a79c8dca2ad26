"""The objects that the benchmarks are about, as files; and what they become without processes in between."""

from __future__ import annotations

from services.resource_watcher.stages.fileset import FileSet
from services.resource_watcher.stages.objects import prepare
from services.translator.settings import TranslatorSettings
from services.translator.translator import Translator
from services.xds_server.resources import Resource
from services.xds_server.store import GatewayStore


def route(n: int, value: str, backend: str = "b") -> str:
    return f"""apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: route-{n}
spec:
  parentRefs:
  - name: gw
  hostnames: ["host-{n}.example.com"]
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /
    filters:
    - type: ResponseHeaderModifier
      responseHeaderModifier:
        set:
        - name: x-answer
          value: "{value}"
    backendRefs:
    - group: gateway.envoyproxy.io
      kind: Backend
      name: {backend}
"""


def backend(name: str, n: int) -> str:
    return f"""apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{endpoints: [{{ip: {{address: 127.0.0.1, port: {10000 + n}}}}}]}}
"""


def policy(timeout: int, connections: int) -> str:
    """A traffic policy for all of the Gateway's routes: one thing about requests, and one about clusters."""
    return f"""apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {{name: all}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: gw}}]
  timeout: {{http: {{requestTimeout: {timeout}s}}}}
  circuitBreaker: {{maxConnections: {connections}}}
"""


def gateway(port: int) -> str:
    return f"""apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: headgate}}
spec: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec:
  gatewayClassName: headgate
  listeners:
  - {{name: http, protocol: HTTP, port: {port}}}
"""


class Rendering:
    """Files in, resources out: what the four services make of them, in this process."""

    def __init__(self) -> None:
        self._files = FileSet()
        self._translator = Translator(TranslatorSettings(running_on_host=True, backend=True), _no_secrets)
        self._store = GatewayStore(_no_secrets)
        self._version = 0

    def write(self, files: dict[str, str]) -> dict[str, dict[str, Resource]]:
        """All resources after these files were written, by type URL and name."""
        refs = {ref for name, text in files.items() for ref in self._files.put(name, text)}
        found = {ref: self._files.get(ref) for ref in refs}
        made = self._translator.apply({ref: prepare(ref, f[0], _no_seal) if f is not None else None for ref, f in found.items()})
        self._version += 1
        for shards in made.shards.values():
            self._store.apply(self._version, shards)
        return self._store.snapshot()


def _no_secrets(token: str) -> bytes:
    raise ValueError("the benchmarks have no secrets")


def _no_seal(value: bytes) -> str:
    raise ValueError("the benchmarks have no secrets")
