"""The protocol as three places tell it: the .proto for people, the descriptors for the pool, and bytes for who only asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import shared.extension
from shared.extension import protocol
from shared.xds.extension_protocol import MESSAGES, PACKAGE
from shared.xds.message import build, decode
from shared.xds.wire import Malformed, framed, members, single

PROTO = (Path(shared.extension.__file__).parent / "extension.proto").read_text()
_MESSAGE = re.compile(r"message (\w+) \{(.*?)\}", re.DOTALL)
_FIELD = re.compile(r"(repeated )?([\w.]+) (\w+) = (\d+);")


def test_the_proto_and_the_descriptors_say_the_same() -> None:
    told = {
        name: [(bool(repeated), kind.rpartition(".")[2], field, int(number)) for repeated, kind, field, number in _FIELD.findall(body)]
        for name, body in _MESSAGE.findall(PROTO)
    }
    scalars = {9: "string", 12: "bytes"}
    known = {
        name: [(f.label == f.LABEL_REPEATED, scalars.get(f.type) or f.type_name.rpartition(".")[2], f.name, f.number) for f in fields]
        for name, fields in MESSAGES.items()
    }
    assert told == known
    methods = re.findall(r"rpc (\w+)\((\w+)\) returns \((\w+)\)", PROTO)
    assert {m for m, _, _ in methods} == set(protocol.METHODS.values())
    assert all((request, response) == (f"{m}Request", f"{m}Response") for m, request, response in methods)
    assert f"package {PACKAGE};" in PROTO
    assert f"{PACKAGE}.EnvoyGatewayExtension" == protocol.SERVICE


def test_requests_in_bytes_are_the_messages() -> None:
    route = build("envoy.config.route.v3.Route", {"name": "r"}).SerializeToString()
    data = protocol.request(route, protocol.route_context((b"{}",), ("a", "b"), (b"[]", b"1")))
    found = decode(f"{PACKAGE}.PostRouteModifyRequest", data)
    assert found.route.name == "r"
    assert list(found.post_route_context.hostnames) == ["a", "b"]
    assert [o.unstructured_bytes for o in found.post_route_context.extension_resources] == [b"{}"]
    assert [o.unstructured_bytes for o in found.post_route_context.extension_policies] == [b"[]", b"1"]
    plain = decode(f"{PACKAGE}.PostVirtualHostModifyRequest", protocol.request(b""))
    assert plain.HasField("post_virtual_host_context")


def test_a_translation_in_bytes_is_the_message_there_and_back() -> None:
    cluster = build("envoy.config.cluster.v3.Cluster", {"name": "c"}).SerializeToString()
    secret = build("envoy.extensions.transport_sockets.tls.v3.Secret", {"name": "s"}).SerializeToString()
    data = protocol.translation_request((b"{}",), (("cluster", (cluster, cluster)), ("secret", (secret,))))
    found = decode(f"{PACKAGE}.PostTranslateModifyRequest", data)
    assert [c.name for c in found.clusters] == ["c", "c"]
    assert [o.unstructured_bytes for o in found.post_translate_context.extension_resources] == [b"{}"]
    response = build(f"{PACKAGE}.PostTranslateModifyResponse", {"clusters": [{"name": "c"}], "routes": [{"name": "x"}]})
    back = protocol.translated(response.SerializeToString())
    assert {kind: [protocol.name_of(r) for r in of] for kind, of in back.items()} == {
        "cluster": ["c"],
        "secret": [],
        "listener": [],
        "route": ["x"],
    }


def test_no_answer_and_an_empty_answer_are_not_the_same() -> None:
    assert protocol.answered(b"") is None
    assert protocol.answered(b"\x0a\x00") == b""
    assert protocol.answered(b"\x0a\x01a\x0a\x01b") == b"b", "the last one counts, as protobuf has it"


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05a", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b", b"\x00\x01", b"\x09\x01"]
)
def test_bytes_that_are_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(members(data))


def test_other_fields_are_passed_over() -> None:
    data = b"\x08\x96\x01" + b"\x11" + bytes(8) + b"\x1d" + bytes(4) + framed(5, b"five")
    assert list(members(data)) == [(5, b"five")]
    assert single(data, 6) is None
