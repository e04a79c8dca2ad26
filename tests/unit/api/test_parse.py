"""One object in, one row out: or the path of what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from shared.api.core import Secret
from shared.api.envoy import EnvoyProxy
from shared.api.parse import Invalid, parse
from shared.api.routes import HttpRoute
from shared.core.refs import ObjectRef

GATEWAY, ENVOY = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
ROUTE = ObjectRef(GATEWAY, "HTTPRoute", "default", "app")


def route(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "app", "namespace": "default"}, "spec": spec}


def test_bytes_and_plain_data_give_equal_rows() -> None:
    plain = route(hostnames=["a.example.com"])
    assert parse(ROUTE, json.dumps(plain).encode()) == parse(ROUTE, plain)


def test_what_the_server_adds_and_a_status_make_no_difference() -> None:
    noisy = route()
    noisy["metadata"] |= {"resourceVersion": "7", "uid": "x", "managedFields": [{}]}
    noisy["status"] = {"parents": []}
    assert parse(ROUTE, noisy) == parse(ROUTE, route())


def test_null_is_absent() -> None:
    row = parse(ROUTE, route(rules=[{"matches": None, "name": None}], hostnames=None))
    assert isinstance(row, HttpRoute)
    assert row.spec.hostnames == ()
    assert row.spec.rules[0].matches == ()


def test_a_wrong_type_is_reported_with_its_path_and_the_parents_that_can_be_read() -> None:
    row = parse(ROUTE, route(parentRefs=[{"name": "eg"}, {"name": 7}], rules=[{"backendRefs": [{"name": "a", "port": "x"}]}]))
    assert isinstance(row, Invalid)
    assert "`spec.parentRefs[1].name`" in row.message or "`spec.rules[0].backendRefs[0].port`" in row.message
    assert [p.name for p in row.parent_refs] == ["eg"]


def test_neither_text_nor_a_list_is_an_object() -> None:
    assert isinstance(parse(ROUTE, b"{"), Invalid)
    assert isinstance(parse(ROUTE, b"[]"), Invalid)


def test_an_unknown_kind_is_nobodys() -> None:
    assert parse(ObjectRef("apps", "Deployment", "default", "x"), b"{}") is None


def test_an_envoy_proxy_is_kept_as_written() -> None:
    metadata = {"name": "p", "namespace": "d"}
    written = {"apiVersion": f"{ENVOY}/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata, "spec": {"x": {"y": 1}}}
    noisy = {**written, "metadata": {**metadata, "uid": "1"}, "status": {}}
    row = parse(ObjectRef(ENVOY, "EnvoyProxy", "d", "p"), noisy)
    assert isinstance(row, EnvoyProxy)
    assert row.raw == written


def test_string_data_of_a_secret_counts_as_data() -> None:
    row = parse(ObjectRef("", "Secret", "d", "s"), {"metadata": {"name": "s"}, "data": {"a": "1"}, "stringData": {"b": "2"}})
    assert isinstance(row, Secret)
    assert row.data == {"a": "1", "b": "2"}
