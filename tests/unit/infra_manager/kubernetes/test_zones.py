"""The topology injector's answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.infra_manager.providers.kubernetes.zones import Bound, answer, bound, of_a_proxy, zone_of
from shared.core import jsonpatch
from tests.unit.infra_manager.kubernetes.fleets import fleet, objects

ZONE = "topology.kubernetes.io/zone"


def review(**metadata: Any) -> dict[str, Any]:
    binding = {"metadata": {"name": "pod", "namespace": "ns", **metadata}, "target": {"kind": "Node", "name": "node"}}
    return {"request": {"uid": "u", "namespace": "ns", "object": binding}}


@pytest.mark.parametrize("there", [None, {}, {"other": "1"}])
def test_a_binding_gets_the_zone(there: dict[str, str] | None) -> None:
    asked = review(annotations=there) if there is not None else review()
    response = answer(asked, "7")["response"]
    assert (response["uid"], response["allowed"]) == ("u", True)
    patched = jsonpatch.apply(asked["request"]["object"], json.loads(base64.b64decode(response["patch"])))
    assert patched["metadata"]["annotations"] == {**(there or {}), ZONE: '"7"'}


def test_without_a_zone_it_stays_as_it_is() -> None:
    assert answer(review(), "")["response"] == {"uid": "u", "allowed": True}
    assert answer({}, "")["response"]["allowed"] is True


def test_who_is_bound_where() -> None:
    assert bound(review()) == Bound("ns", "pod", "node")
    assert bound({"request": {"object": {"metadata": {"name": "pod"}}}}) is None
    assert bound({}) is None


def test_only_proxies_of_ours() -> None:
    pod = objects(fleet())["Deployment"]["spec"]["template"]
    assert of_a_proxy(pod)
    assert not of_a_proxy({"metadata": {"labels": {"app.kubernetes.io/component": "proxy"}}})
    assert not of_a_proxy({"metadata": {}})
    assert zone_of({"metadata": {"labels": {ZONE: "z"}}}) == "z"
    assert zone_of({"metadata": {}}) == ""
