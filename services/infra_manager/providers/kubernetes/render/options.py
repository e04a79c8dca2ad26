"""What the installation adds to each fleet: where the control plane is, and images."""

from __future__ import annotations

from typing import NamedTuple

ENVOY_IMAGE = "docker.io/envoyproxy/envoy:distroless-v1.40-latest"
OWN_IMAGE = "docker.io/headgate/headgate:latest"
RATE_LIMIT_IMAGE = "docker.io/envoyproxy/ratelimit:17b1956c"


class KubeOptions(NamedTuple):
    """`by_namespace`: each fleet lives in its Gateway's namespace, and proves itself by its service account (`authority`: the control
    plane's, PEM). `zones`: pods are told their zone. Without `xds_host` it is the Service `envoy-gateway` of `namespace`.
    """

    namespace: str = "envoy-gateway-system"
    dns_domain: str = "cluster.local"
    xds_host: str = ""
    xds_port: int = 18000
    by_namespace: bool = False
    authority: str = ""
    zones: bool = True
    envoy_image: str = ENVOY_IMAGE
    own_image: str = OWN_IMAGE

    @property
    def control_plane(self) -> str:
        """Its DNS name."""
        return f"envoy-gateway.{self.namespace}.svc.{self.dns_domain}"

    @property
    def xds(self) -> str:
        """With the root's dot: no search list is tried."""
        return self.xds_host or f"{self.control_plane}."
