"""Headers of a listener in Envoy: settings of the connection manager, and a filter for what is done to responses."""

from __future__ import annotations

from collections.abc import Iterable

from shared.features.client.headers.ir import Headers, HostSettings
from shared.features.parts.xds_values import given, header_options, string_matcher, wrapped
from shared.ir.match import AddHeader, StringMatch
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.header_mutation"
_UNDERSCORES = {"Allow": "ALLOW", "RejectRequest": "REJECT_REQUEST", "DropHeader": "DROP_HEADER"}
# action -> whether an id is generated, whether one from outside is kept
_REQUEST_ID = {
    "PreserveOrGenerate": (True, True),
    "Preserve": (False, True),
    "Disable": (False, False),
    "Generate": (True, False),
}
_FORWARDED_CERT = {
    "Sanitize": "SANITIZE",
    "ForwardOnly": "FORWARD_ONLY",
    "AppendForward": "APPEND_FORWARD",
    "SanitizeSet": "SANITIZE_SET",
    "AlwaysForwardOnly": "ALWAYS_FORWARD_ONLY",
}
_SETS_DETAILS = ("APPEND_FORWARD", "SANITIZE_SET")
_DETAILS: dict[str, Fields] = {
    "Cert": {"cert": True},
    "Chain": {"chain": True},
    "DNS": {"dns": True},
    "Subject": {"subject": wrapped(True)},
    "URI": {"uri": True},
}


def underscores(headers: Headers | None) -> str:
    """HeadersWithUnderscoresAction; a header that could be mistaken for another one is refused by default."""
    return _UNDERSCORES.get(headers.with_underscores_action if headers is not None else "", "REJECT_REQUEST")


def on_hcm(headers: Headers | None, host: HostSettings | None) -> Fields:
    """Fields of the connection manager."""
    out: Fields = {"strip_trailing_host_dot": True} if host is not None and host.strip_trailing_host_dot else {}
    if headers is None:
        return out
    early = _mutations(
        headers.early_add_request_headers, headers.early_remove_request_headers, headers.early_remove_request_headers_on_match
    )
    if early:
        config = pack("envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", {"mutations": early})
        name = "envoy.http.early_header_mutation.header_mutation"
        out["early_header_mutation_extensions"] = [{"name": name, "typed_config": config}]
    if headers.max_request_headers_kb is not None:
        out["max_request_headers_kb"] = wrapped(headers.max_request_headers_kb)
    if headers.request_id in _REQUEST_ID:
        generated, kept = _REQUEST_ID[headers.request_id]
        out |= {"generate_request_id": wrapped(generated), "preserve_external_request_id": kept}
    return out | _client_cert(headers)


def _client_cert(headers: Headers) -> Fields:
    cert = headers.x_forwarded_client_cert
    action = _FORWARDED_CERT.get(cert.mode, "SANITIZE") if cert is not None else "SANITIZE"
    details = {k: v for d in (cert.cert_details_to_add if cert is not None else ()) for k, v in _DETAILS.get(d, {}).items()}
    set_details = details if details and action in _SETS_DETAILS else None
    return given({"forward_client_cert_details": action, "set_current_client_cert_details": set_details})


def http_filters(headers: Headers | None) -> dict[str, Fields]:
    """Name -> HttpFilter that changes responses."""
    late = (
        _mutations(headers.late_add_response_headers, headers.late_remove_response_headers, headers.late_remove_response_headers_on_match)
        if headers is not None
        else []
    )
    if not late:
        return {}
    config = pack("envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", {"mutations": {"response_mutations": late}})
    return {NAME: {"name": NAME, "typed_config": config}}


def _mutations(added: Iterable[AddHeader], removed: Iterable[str], matched: Iterable[StringMatch]) -> list[Fields]:
    return [
        *({"append": option} for option in header_options(added)),
        *({"remove": name} for name in removed),
        *({"remove_on_match": {"key_matcher": matcher}} for m in matched if (matcher := string_matcher(m))),
    ]
