"""Identity, default namespace, and what may leave for the bus."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.resource_watcher.stages.objects import ObjectError, identify, prepare
from shared.core.refs import ObjectRef

GATEWAY = "gateway.networking.k8s.io"


def raw(kind: str = "HTTPRoute", api: str = GATEWAY + "/v1", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", **metadata}}


def test_a_namespaced_object_without_a_namespace_is_in_default() -> None:
    found = identify(raw())
    assert found.ref == ObjectRef(GATEWAY, "HTTPRoute", "default", "a")
    assert found.object["metadata"]["namespace"] == "default"


def test_a_cluster_scoped_object_has_none() -> None:
    assert identify(raw("GatewayClass")).ref.namespace == ""


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({}, "apiVersion: expected"),
        ({"apiVersion": "v1"}, "kind: expected"),
        (raw("HTTPRoot"), "kind: HTTPRoot of gateway.networking.k8s.io/v1 is not known"),
        (raw("HTTPRoute", "v1"), "HTTPRoute is known in gateway.networking.k8s.io"),
        ({"apiVersion": "v1", "kind": "Service"}, "metadata: expected"),
        (raw(name="Upper"), "metadata.name: expected lower-case"),
        (raw(name=3), "metadata.name"),
        (raw(name="a>b"), "metadata.name"),
        (raw(namespace="*"), "metadata.namespace"),
    ],
)
def test_what_cannot_be_identified_names_the_field(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(ObjectError, match=says):
        identify(bad)


def test_status_and_managed_fields_do_not_leave() -> None:
    found = identify({**raw(managedFields=[1], resourceVersion="7"), "status": {"x": 1}, "spec": {"b": 1, "a": 2}})
    sent = json.loads(prepare(found.ref, found.object, lambda _: "never"))
    assert sent == {
        "apiVersion": GATEWAY + "/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"a": 2, "b": 1},
    }


def test_equal_objects_are_equal_bytes_whatever_the_order_of_their_fields() -> None:
    ref = ObjectRef("", "Service", "default", "a")
    one = {"kind": "Service", "metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}}
    other = {"metadata": {"labels": {"y": "2", "x": "1"}, "name": "a"}, "kind": "Service"}
    assert prepare(ref, one, lambda _: "") == prepare(ref, other, lambda _: "")


def test_every_value_of_a_secret_is_sealed_and_old_copies_of_it_are_dropped() -> None:
    secret = {
        **raw("Secret", "v1", annotations={"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "keep": "me"}),
        "data": {"tls.key": base64.b64encode(b"hunter2").decode()},
        "stringData": {"password": "hunter2"},
    }
    found = identify(secret)
    sent = prepare(found.ref, found.object, lambda plain: f"<{len(plain)}>")
    assert json.loads(sent)["data"] == {"password": "<7>", "tls.key": "<7>"}
    assert b"hunter2" not in sent
    assert base64.b64encode(b"hunter2") not in sent
    assert b"keep" in sent


def test_a_secret_that_is_not_base64_names_the_key() -> None:
    found = identify({**raw("Secret", "v1"), "data": {"tls.key": "%%%"}})
    with pytest.raises(ObjectError, match=r"data\.tls\.key: expected base64"):
        prepare(found.ref, found.object, lambda _: "")


def test_a_misspelled_field_of_a_secret_does_not_leave() -> None:
    found = identify({**raw("Secret", "v1"), "type": "Opaque", "stringdata": {"password": "hunter2"}, "Data": {"x": "hunter2"}})
    sent = prepare(found.ref, found.object, lambda _: "")
    assert b"hunter2" not in sent
    assert json.loads(sent)["type"] == "Opaque"
