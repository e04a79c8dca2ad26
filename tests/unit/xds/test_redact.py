"""What people get to see of Envoy's messages: never what its API marks as sensitive."""

from __future__ import annotations

from typing import Any

from shared.xds.message import build, pack, to_json
from shared.xds.redact import redact

SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"


def shown(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return to_json(redact(build(name, fields)))


def test_private_keys_and_not_certificates() -> None:
    pair = {"certificate_chain": {"inline_string": "public"}, "private_key": {"inline_bytes": b"PRIVATE"}}
    found = shown(SECRET, {"name": "s", "tls_certificate": pair})
    chain, key = {"inlineString": "public"}, {"inlineString": "[redacted]"}
    assert found == {"name": "s", "tlsCertificate": {"certificateChain": chain, "privateKey": key}}
    in_file = shown(SECRET, {"tls_certificate": {"private_key": {"filename": "/key"}}})
    assert in_file["tlsCertificate"]["privateKey"] == {"filename": "/key"}


def test_inside_of_any_and_of_lists() -> None:
    credential = {"key": "swordfish", "client": "c"}
    user = pack("envoy.extensions.filters.http.basic_auth.v3.BasicAuthPerRoute", {"users": {"inline_string": "swordfish"}})
    config = pack("envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute", {"credentials": [credential]})
    route = {"name": "r", "typed_per_filter_config": {"keys": config, "users": user}}
    for name, fields in (
        ("envoy.config.route.v3.Route", route),
        ("envoygateway.extension.PostRouteModifyRequest", {"route": route}),
        ("envoy.config.route.v3.RouteConfiguration", {"virtual_hosts": [{"name": "h", "routes": [route]}]}),
    ):
        text = str(shown(name, fields))
        assert "swordfish" not in text
        assert "api_key_auth" in text
        assert "[redacted]" in text


def test_lists_of_what_is_sensitive_go_altogether() -> None:
    found = shown(SECRET, {"name": "t", "session_ticket_keys": {"keys": [{"inline_string": "k"}]}})
    assert found == {"name": "t", "sessionTicketKeys": {}}


def test_what_nobody_knows_stays_as_it_is() -> None:
    unknown = {"type_url": "type.googleapis.com/no.such.Message", "value": b"x"}
    of = build("envoy.config.core.v3.TypedExtensionConfig", {"name": "n", "typed_config": unknown})
    assert redact(of).typed_config.value == b"x"
