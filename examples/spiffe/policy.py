"""BackendMTLSPolicy as a value: whose identity the proxy shows, and whose it expects of backends. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from shared.extension.contexts import Object

_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class Policy(NamedTuple):
    """SPIFFE IDs: `identity` is the proxy's, `backends` are those it talks to; without any, all of the trust domain are."""

    name: str
    trust_domain: str
    identity: str
    backends: tuple[str, ...]


def parse(of: Object) -> Policy:
    """Raises ValueError with the field's path."""
    spec = of.spec
    domain = spec.get("trustDomain")
    if not isinstance(domain, str) or not _DOMAIN.fullmatch(domain):
        raise ValueError(f"spec.trustDomain: {domain!r} is no trust domain")
    trust = f"spiffe://{domain}"
    backends = spec.get("backends") or []
    if not isinstance(backends, list):
        raise ValueError("spec.backends: expected a list")
    of_backends = tuple(_id(trust, path, f"spec.backends[{n}]") for n, path in enumerate(backends))
    return Policy(f"{of.namespace}/{of.name}", trust, _id(trust, spec.get("workload"), "spec.workload"), of_backends)


def usable(of: Object) -> tuple[Policy, str]:
    """The policy and '', or one that no backend satisfies and what is wrong: what was to be protected is not left open by a mistake."""
    try:
        return parse(of), ""
    except ValueError as e:
        nobody = "spiffe://invalid"
        return Policy(f"{of.namespace}/{of.name}", nobody, f"{nobody}/nobody", (f"{nobody}/nobody",)), str(e)


def first(policies: Iterable[Object]) -> Object | None:
    """Of several policies for one thing the one that names part of it, then the oldest."""

    def order(of: Object) -> tuple[bool, str, str, str]:
        whole = not any(ref.get("sectionName") for ref in of.spec.get("targetRefs") or ())
        return whole, str(of.metadata.get("creationTimestamp") or ""), of.namespace, of.name

    return min(policies, key=order, default=None)


def written(of: Policy) -> dict[str, Any]:
    """As it travels in a route's metadata."""
    return of._asdict() | {"backends": list(of.backends)}


def read(value: dict[str, Any]) -> Policy:
    return Policy(**{**value, "backends": tuple(value.get("backends") or ())})


def _id(trust: str, path: Any, where: str) -> str:
    if not isinstance(path, str) or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError(f"{where}: {path!r} is no path of a SPIFFE ID (expected for instance ns/default/sa/web)")
    return f"{trust}/{path}"
