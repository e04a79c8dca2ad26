"""Hosts that clients choose: which header is looked at, and where nobody needs to look."""

from __future__ import annotations

from typing import Any

import pytest

from shared.features.route.dynamic_resolver.xds import NAME, filters, per_route, resolves_sni
from shared.features.route.url_rewrite.ir import HostModifier, UrlRewrite
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.http import HttpRoute
from shared.ir.tcp import TcpRoute, TcpTls, TlsInspector
from shared.xds.message import decode, to_json

DYNAMIC = Destination(name="any", settings=(DestinationSetting(name="any/0", is_dynamic_resolver=True),))


def checked(route: HttpRoute) -> dict[str, Any]:
    packed = per_route(route)[NAME]
    return to_json(decode(packed["type_url"].rpartition("/")[2], packed["value"]))


@pytest.mark.parametrize(("host", "header"), [(None, ":authority"), (HostModifier(header="x-to"), "x-to")])
def test_the_header_that_decides_is_looked_at(host: HostModifier | None, header: str) -> None:
    route = HttpRoute(destination=DYNAMIC, url_rewrite=UrlRewrite(host=host) if host is not None else None)
    assert NAME in filters(route)
    (rule,) = checked(route)["rbac"]["matcher"]["matcherList"]["matchers"]
    names = {p["singlePredicate"]["input"]["typedConfig"]["headerName"] for p in rule["predicate"]["orMatcher"]["predicate"]}
    assert names == {header}


def test_a_host_that_the_configuration_names_needs_no_look() -> None:
    assert per_route(HttpRoute(destination=DYNAMIC, url_rewrite=UrlRewrite(host=HostModifier(name="a.com")))) == {}
    assert filters(HttpRoute(destination=Destination(name="any"))) == {}


def test_only_tls_that_passes_through_goes_where_its_name_says() -> None:
    route = TcpRoute(destination=DYNAMIC, tls=TcpTls(inspector=TlsInspector(snis=("*",))))
    assert resolves_sni(route, terminated=False)
    assert not resolves_sni(route, terminated=True)
    assert not resolves_sni(TcpRoute(destination=DYNAMIC), terminated=False)
