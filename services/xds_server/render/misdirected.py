"""Requests that came over a connection to another HTTPS listener of the port, answered 421 (RFC 9110 §15.5.20).

A client that holds a connection whose certificate is good for two hosts may send requests for both over it, whatever name it said when
it connected. Envoy chooses the listener by that name; a request for a host of another listener must not be served by the rules of this
one. Told so, the client opens another connection. Where this is so, listeners with overlapping certificates may speak HTTP/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.xds_server.render.names import Names
from shared.ir.http import HttpListener
from shared.xds.message import Fields

MISDIRECTED = 421


def _hosts(listener: HttpListener) -> tuple[str, ...]:
    return listener.hostnames or ("*",)


def guards(own: HttpListener, others: Sequence[HttpListener]) -> Mapping[str, bool]:
    """Domain -> whether requests for it belong to another listener; False for one of its own that no route has, and that keeps its
    requests from a wider domain of another listener."""
    foreign = {host for each in others for host in _hosts(each)} - set(_hosts(own))
    if not foreign:
        return {}
    return dict.fromkeys(sorted(foreign), True) | {host: False for host in _hosts(own) if host != "*"}


def virtual_host(listener: HttpListener, domain: str, foreign: bool, names: Names) -> Fields:
    """VirtualHost; without routes it answers 404."""
    out: Fields = {"name": f"{names.chain(listener)}/misdirected/{domain.replace('.', '_')}", "domains": [domain]}
    if foreign:
        out["routes"] = [{"match": {"prefix": "/"}, "direct_response": {"status": MISDIRECTED}}]
    return out
