"""Kubernetes: fleets of proxies as objects of a cluster. `render` is pure; the rest applies what it gives."""

from services.infra_manager.providers.kubernetes.infrastructure import KubernetesInfrastructure

__all__ = ["KubernetesInfrastructure"]
