"""What a user would write: the configuration, a Gateway with two routes, and the policy."""

from __future__ import annotations

from pathlib import Path

from examples.spiffe.agents import DOMAIN, WORKLOAD

CONFIG = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
extensionApis: {{enableBackend: true}}
extensionManager:
  name: spiffe
  policyResources: [{{group: spiffe.headgate.dev, version: v1alpha1, kind: BackendMTLSPolicy}}]
  hooks:
    xdsTranslator:
      post: [Route, Translation]
      translation: {{cluster: {{includeAll: true}}, route: {{includeAll: true}}, secret: {{includeAll: false}}}}
  service: {{unix: {{path: {socket}}}}}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: headgate}}
spec: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gateway}}
spec:
  gatewayClassName: headgate
  listeners: [{{name: http, protocol: HTTP, port: {port}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: authorities}}
data:
  ca.crt: |
{bundle}
"""
BACKEND = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec:
  endpoints: [{{ip: {{address: 127.0.0.1, port: {port}}}}}]
  tls: {{sni: {name}.example.org, caCertificateRefs: [{{group: "", kind: ConfigMap, name: authorities}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gateway}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /{name}}}}}]
    backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}]
"""
POLICY = """
apiVersion: spiffe.headgate.dev/v1alpha1
kind: BackendMTLSPolicy
metadata: {{name: backends}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: {kind}, name: {name}}}]
  trustDomain: {domain}
  workload: {workload}
  backends: [{backends}]
"""


class Resources:
    """A folder as the File provider reads it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def gateway(self, port: int, bundle: str) -> None:
        self._write("gateway", GATEWAY.format(port=port, bundle="\n".join(f"    {line}" for line in bundle.splitlines())))

    def backend(self, name: str, port: int) -> None:
        self._write(name, BACKEND.format(name=name, port=port))

    def policy(self, kind: str, name: str, *backends: str) -> None:
        self._write("policy", POLICY.format(kind=kind, name=name, domain=DOMAIN, workload=WORKLOAD, backends=", ".join(backends)))

    def no_policy(self) -> None:
        (self._folder / "policy.yaml").unlink()

    def _write(self, name: str, text: str) -> None:
        """At once, as editors do it."""
        draft = self._folder / f".{name}.new"
        draft.write_text(text)
        draft.replace(self._folder / f"{name}.yaml")
