"""Which proxy may have which Gateway's configuration, where proxies prove themselves by tokens of their service accounts.

With certgen's one certificate a proxy of ours is a proxy of ours. Proxies in their Gateways' namespaces have no part in that certificate:
each gets what belongs to its namespace, under its own pod's name.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.core.accounts import Account
from shared.core.refs import GatewayRef

_SCHEME = "bearer "


def token_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token of a call; "" where it brings none. Envoy's credential injector sends it bare, others as `Bearer <token>`."""
    value = next((v for k, v in metadata if k == "authorization"), "")
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text[len(_SCHEME) :] if text.lower().startswith(_SCHEME) else text


def refusal(who: Account | None, node: str, gateway: GatewayRef, own_namespace: str) -> str | None:
    """Why a node does not get a Gateway's configuration; None for one that does. Merged Gateways' proxies live beside the control plane."""
    if who is None:
        return "its token is not valid here"
    if who.pod != node:
        return f"its token is of pod {who.pod or '(none)'}"
    if who.namespace != (gateway.namespace or own_namespace):
        return f"its service account is of namespace {who.namespace}"
    return None
