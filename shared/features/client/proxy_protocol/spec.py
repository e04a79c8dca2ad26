"""PROXY protocol from clients as a ClientTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec


class ClientProxyProtocolSpec(Spec, frozen=True):
    optional: bool = False
