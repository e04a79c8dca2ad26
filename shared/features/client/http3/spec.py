"""HTTP/3 of a listener as a ClientTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec


class Http3Spec(Spec, frozen=True):
    pass
