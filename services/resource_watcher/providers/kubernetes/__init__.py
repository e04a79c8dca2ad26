"""Objects of a Kubernetes cluster, and statuses back to them."""

from services.resource_watcher.providers.kubernetes.provider import KubernetesProvider

__all__ = ["KubernetesProvider"]
