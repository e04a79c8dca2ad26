"""What is found wrong with a route before any proxy sees it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.xds_server.derive.routes import checked
from services.xds_server.render import routes
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.retry.ir import Retry, RetryOn
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
        (changed(add_request_headers=(AddHeader(name="x", value=("a\r\nb",)),)), "line break"),
        (changed(add_response_headers=(AddHeader(name=""),)), "name"),
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
    assert any("regex" in f for f in routes.faults(routes.route(replace(route, url_rewrite=rewrite))))
    with pytest.raises(Unrenderable, match="sometimes"):
        routes.route(replace(route, retry=Retry(retry_on=RetryOn(triggers=("sometimes",)))))
