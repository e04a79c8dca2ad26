"""Headers of a listener as a ClientTrafficPolicy writes them. `preserve_x_request_id` is what `request_id` replaces."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.api.base import Spec
from shared.core.quantities import Quantity
from shared.features.parts.header_spec import HttpHeader, HttpHeaderFilter
from shared.features.parts.string_match import StringMatchSpec


class HeaderMutations(HttpHeaderFilter, frozen=True):
    """The Gateway API's header edits, and two more."""

    add_if_absent: tuple[HttpHeader, ...] = ()
    remove_on_match: tuple[StringMatchSpec, ...] = ()


class ForwardedClientCertSpec(Spec, frozen=True):
    mode: Literal["Sanitize", "ForwardOnly", "AppendForward", "SanitizeSet", "AlwaysForwardOnly"] = "Sanitize"
    cert_details_to_add: tuple[Literal["Subject", "Cert", "Chain", "DNS", "URI"], ...] = ()


class HostSpec(Spec, frozen=True):
    strip_trailing_host_dot: bool | None = None


class HeadersSpec(Spec, frozen=True):
    enable_envoy_headers: bool = False
    disable_rate_limit_headers: bool = False
    x_forwarded_client_cert: ForwardedClientCertSpec | None = None
    with_underscores_action: Literal["Allow", "RejectRequest", "DropHeader"] = "RejectRequest"
    preserve_x_request_id: bool | None = msgspec.field(default=None, name="preserveXRequestID")
    request_id: Literal["PreserveOrGenerate", "Preserve", "Generate", "Disable"] | None = msgspec.field(default=None, name="requestID")
    early_request_headers: HeaderMutations | None = None
    late_response_headers: HeaderMutations | None = None
    host: HostSpec | None = None
    max_request_header_limit: Quantity | None = None
