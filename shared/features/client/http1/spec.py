"""HTTP/1 of a listener as a ClientTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.features.parts.string_match import StringMatchSpec


class Http10Spec(Spec, frozen=True):
    use_default_host: bool = False


class Http1Spec(Spec, frozen=True):
    enable_trailers: bool = False
    preserve_header_case: bool = False
    http10: Http10Spec | None = None
    disable_safe_max_connection_duration: bool = False
    ignored_upgrade_types: tuple[StringMatchSpec, ...] = ()
