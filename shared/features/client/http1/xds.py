"""HTTP/1 in Envoy: Http1ProtocolOptions, of the connection manager and of clusters."""

from __future__ import annotations

from shared.features.client.http1.ir import Http1
from shared.features.parts.xds_values import string_matcher
from shared.xds.message import Fields, pack

_PRESERVE_CASE = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"


def options(http1: Http1 | None) -> Fields:
    """Http1ProtocolOptions of a cluster; empty where nothing is asked for."""
    out: Fields = {}
    if http1 is None:
        return out
    if http1.enable_trailers:
        out["enable_trailers"] = True
    if http1.preserve_header_case:
        out["header_key_format"] = {"stateful_formatter": {"name": "preserve_case", "typed_config": pack(_PRESERVE_CASE)}}
    if http1.http10 is not None:
        out |= {"accept_http_10": True, "default_host_for_http_10": http1.http10.default_host or ""}
    return out


def on_hcm(http1: Http1 | None) -> Fields:
    """Fields of the connection manager."""
    of = options(http1)
    if http1 is not None and http1.ignored_upgrade_types:
        of["ignore_http_11_upgrade"] = [string_matcher(m) for m in http1.ignored_upgrade_types]
    return {"http_protocol_options": of} if of else {}
