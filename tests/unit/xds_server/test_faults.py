"""What is found wrong with a route before any proxy sees it."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from services.xds_server.derive.routes import checked
from services.xds_server.render import routes
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.cors.ir import Cors
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.direct_response.xds import body
from shared.features.route.redirect.ir import Redirect
from shared.features.route.retry.ir import BackOff, PerRetry, Retry, RetryOn
from shared.features.route.url_rewrite.ir import PathModifier, RegexRewrite, UrlRewrite
from shared.ir.http import HttpRoute
from shared.ir.match import AddHeader, StringMatch
from shared.xds.message import decode
from tests.unit.xds_server import builders as b

OK = HttpRoute(name="r", hostname="*", path_match=StringMatch(prefix="/a"), direct_response=DirectResponse(status_code=200))


def changed(**fields: object) -> HttpRoute:
    return replace(OK, **fields)


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (changed(header_matches=(StringMatch(name="x", safe_regex="("),)), "regex"),
        (changed(path_match=StringMatch(safe_regex="[")), "regex"),
        (changed(path_match=StringMatch(prefix="/a?b")), "prefix"),
        (changed(add_request_headers=(AddHeader(name="x", value=("a\r\nb",)),)), "request_headers_to_add.header.value"),
        (changed(add_response_headers=(AddHeader(name=""),)), "response_headers_to_add.header.key"),
        (changed(add_request_headers=(AddHeader(name="x", value=("100%",)),)), "'%%'"),
        (changed(header_matches=(StringMatch(name="", exact="a"),)), "match.headers.name"),
        (changed(header_matches=(StringMatch(name="x", prefix=""),)), "match.headers.string_match.prefix"),
        (changed(redirect=Redirect(hostname="a\nb"), direct_response=None), "redirect.host_redirect"),
        (changed(direct_response=DirectResponse(status_code=9999)), "9999"),
        (changed(direct_response=DirectResponse(status_code=200, body="?")), "base64"),
        (changed(direct_response=None), "nowhere"),
        (changed(path_match=StringMatch()), "path"),
    ],
)
def test_a_fault_is_found_and_said(route: HttpRoute, says: str) -> None:
    _, fault = checked(route, True)
    assert fault is not None
    assert says in fault


def test_a_sound_route_has_none() -> None:
    data, fault = checked(OK, True)
    assert fault is None
    assert decode("envoy.config.route.v3.Route", data or b"").direct_response.status == 200


def test_where_the_match_stands_the_route_answers_500() -> None:
    data, _ = checked(changed(direct_response=DirectResponse(status_code=9999)), True)
    assert decode("envoy.config.route.v3.Route", data or b"").direct_response.status == 500


def test_where_the_match_does_not_stand_there_is_no_route() -> None:
    assert checked(changed(path_match=StringMatch(prefix="/a?b")), True)[0] is None
    assert checked(changed(path_match=StringMatch()), True)[0] is None


def test_rewrites_and_retries_are_looked_at_too() -> None:
    route = b.http_route("r")
    rewrite = UrlRewrite(path=PathModifier(regex_match_replace=RegexRewrite(pattern="(")))
    assert "regex" in (checked(replace(route, url_rewrite=rewrite), True)[1] or "")
    backing_off = Retry(per_retry=PerRetry(back_off=BackOff(base_interval="2s", max_interval="1s")))
    assert "interval" in (checked(replace(route, retry=backing_off), True)[1] or "")
    assert "duration" in (checked(replace(route, timeout="-5s"), True)[1] or "")
    assert "more than 0" in (checked(replace(route, retry=Retry(per_retry=PerRetry(back_off=BackOff(base_interval="0s")))), True)[1] or "")
    with pytest.raises(Unrenderable, match="sometimes"):
        routes.route(replace(route, retry=Retry(retry_on=RetryOn(triggers=("sometimes",)))))


def test_a_packed_message_is_looked_into() -> None:
    cors = Cors(allow_origins=(StringMatch(safe_regex="("),))
    assert "typed_per_filter_config" in (checked(changed(cors=cors), True)[1] or "")


def test_a_body_that_is_no_format_stands_as_it_is() -> None:
    assert body(DirectResponse(status_code=200, body=base64.b64encode(b"width: 100%").decode())) == b"width: 100%%"
    assert body(DirectResponse(status_code=200, body=base64.b64encode(b"from %REQ(:PATH)%").decode())) == b"from %REQ(:PATH)%"


def test_a_host_that_envoy_refuses_costs_its_route() -> None:
    shards = b.gateway(2)
    shards[b.route_key("r0")] = b.route("r0", host="a\nb")
    store = b.store()
    store.apply(1, b.encoded(shards))
    assert "domains" in store.problems[b.route_key("r0")][0]
    assert b.route_key("r1") not in store.problems
