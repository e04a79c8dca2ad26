"""What a listener does with headers, whatever the route, with Envoy Gateway's field names."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import AddHeader, StringMatch


class ForwardedClientCert(IR, frozen=True):
    mode: str = ""
    cert_details_to_add: tuple[str, ...] = ()


class Headers(IR, frozen=True):
    """`early_*` before a route is chosen, `late_*` when the response leaves."""

    enable_envoy_headers: bool = False
    disable_rate_limit_headers: bool = False
    x_forwarded_client_cert: ForwardedClientCert | None = None
    with_underscores_action: str = ""
    request_id: str | None = None
    early_add_request_headers: tuple[AddHeader, ...] = ()
    early_remove_request_headers: tuple[str, ...] = ()
    early_remove_request_headers_on_match: tuple[StringMatch, ...] = ()
    late_add_response_headers: tuple[AddHeader, ...] = ()
    late_remove_response_headers: tuple[str, ...] = ()
    late_remove_response_headers_on_match: tuple[StringMatch, ...] = ()
    max_request_headers_kb: int | None = None


class HostSettings(IR, frozen=True):
    strip_trailing_host_dot: bool = False
