"""PROXY protocol towards backends, as a BackendTrafficPolicy writes it."""

from __future__ import annotations

from typing import Literal

from shared.api.base import Spec


class ProxyProtocolSpec(Spec, frozen=True):
    version: Literal["V1", "V2"]
