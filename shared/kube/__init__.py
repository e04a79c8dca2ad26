"""The only code that speaks to a Kubernetes API server: kubernetes_asyncio's transport and authentication, and plain JSON."""
