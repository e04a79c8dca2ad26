"""What is asked of the world for a Wasm extension, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from shared.features.extension.wasm.spec import WasmSpec
from shared.features.extension.wasm.translate import translate
from shared.features.parts.policy_lookup import Fault
from tests.unit.features.security.around import POLICY, Around

FOUND = {"sha256": "abc", "module": "name"}


class World(Around):
    """Notes what it is asked."""

    asked: list[tuple[str, Mapping[str, Any]]] = msgspec.field(default_factory=list)

    def fact(self, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((kind, asked))
        return super().fact(kind, asked)


def spec(code: dict[str, Any], **more: Any) -> WasmSpec:
    return msgspec.convert({"code": code, **more}, WasmSpec)


def http(**more: Any) -> dict[str, Any]:
    return {"type": "HTTP", "http": {"url": "https://x/y.wasm", **more}}


def image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "Image", "image": {"url": url, **more}}


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        (http(), {"url": "https://x/y.wasm"}),
        (http(sha256="00"), {"url": "https://x/y.wasm", "sha256": "00"}),
        (http(tls={"caCertificateRef": {"name": "ca", "kind": "ConfigMap"}}), {"url": "https://x/y.wasm", "ca": "PEM"}),
        (http() | {"pullPolicy": "Always"}, {"url": "https://x/y.wasm", "version": "default/p@revision"}),
        (image("x/y:v1"), {"image": "oci://x/y:v1"}),
        (image("oci://x:80/y:v1"), {"image": "oci://x:80/y:v1"}),
        (image("x/y@sha256:00"), {"image": "oci://x/y@sha256:00"}),
        (image("x:80/y"), {"image": "oci://x:80/y:latest", "version": "default/p@revision"}),
        (image("x/y") | {"pullPolicy": "IfNotPresent"}, {"image": "oci://x/y:latest"}),
        (image("x/y:v1", pullSecretRef={"name": "pull"}), {"image": "oci://x/y:v1", "pullSecret": "!sealed"}),
    ],
)
def test_a_module_is_asked_for_as_the_policy_says(code: dict[str, Any], asked: dict[str, Any]) -> None:
    world = World(
        secrets={"default/pull": {".dockerconfigjson": "!sealed"}},
        config_maps={"default/ca": {"ca.crt": "PEM"}},
        facts={asked.get("url") or asked["image"]: FOUND},
        asked=[],
    )
    made = translate(spec(code), 3, POLICY, world)
    assert world.asked == [("wasm", asked)]
    assert made.name == made.wasm_name == "securitypolicy/default/p/wasm/3"
    assert made.code is not None
    assert (made.code.serving_url, made.code.sha256) == ("https://control-plane/name.wasm", "abc")
    assert made.code.original_url == asked.get("url", asked.get("image"))


def test_what_else_is_written_goes_with_it() -> None:
    written = spec(http(), name="own", rootID="root", config={"a": 1}, failOpen=True, env={"hostKeys": ["HOME"]})
    made = translate(written, 0, POLICY, Around(facts={"https://x/y.wasm": FOUND}))
    assert (made.wasm_name, made.root_id, made.config, made.fail_open, made.host_keys) == ("own", "root", {"a": 1}, True, ("HOME",))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ({"type": "HTTP"}, "missing HTTP field"),
        ({"type": "Image"}, "missing Image field"),
        ({"type": "Floppy"}, "unsupported Wasm code source type 'Floppy'"),
        (image("x/y:v1", pullSecretRef={"name": "empty"}), "missing .dockerconfigjson key in secret default/empty"),
        (http(), "https://x/y.wasm does not exist"),
    ],
)
def test_a_module_that_cannot_be_had_is_a_fault(code: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        translate(spec(code), 0, POLICY, Around(secrets={"default/empty": {"other": "!x"}}))
