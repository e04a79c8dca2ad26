"""Infra IR -> Kubernetes manifests. Pure. Names, labels, ports and defaults are Envoy Gateway's: its place can be taken over as it is."""
