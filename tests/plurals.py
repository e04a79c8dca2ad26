"""How Kubernetes and our definitions name several objects of a kind."""

from __future__ import annotations


def plural(kind: str) -> str:
    name = kind.lower()
    if name.endswith("class"):
        return name + "es"
    return name[:-1] + "ies" if name.endswith(("policy", "proxy")) else name + "s"
