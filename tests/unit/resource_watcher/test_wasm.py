"""Wasm modules from servers and registries: what is taken, what is refused, and what is shown to whom."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from aiohttp import web

from services.resource_watcher.facts import registry, wasm
from services.resource_watcher.facts.answering import Unanswered
from services.resource_watcher.facts.unpacking import NoModule, module, plugin
from shared.bus.errors import Unavailable
from shared.core.digest import digest
from shared.testing.servers import http_server

MODULE = b"\0asm\x01\0\0\0" + bytes(100)


def tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LAYER = gzip.compress(tar(**{"etc/other": b"x", "opt/plugin.wasm": MODULE}))


@pytest.mark.parametrize("content", [MODULE, gzip.compress(MODULE), tar(any=MODULE), gzip.compress(tar(any=MODULE))])
def test_a_module_comes_bare_compressed_or_in_an_archive(content: bytes) -> None:
    assert module(content) == MODULE


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<html>", "no Wasm module"),
        (b"", "no Wasm module"),
        (gzip.compress(MODULE)[:20], "cannot be decompressed"),
        (gzip.compress(b"text"), "no Wasm module"),
        (tar(), "no file in the archive"),
    ],
)
def test_what_is_no_module_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(NoModule, match=sentence):
        module(content)


def test_the_plugin_of_a_layer_is_the_file_of_that_name() -> None:
    assert plugin(LAYER) == MODULE
    with pytest.raises(NoModule, match=r"no plugin\.wasm in the archive"):
        plugin(gzip.compress(tar(other=MODULE)))
    with pytest.raises(NoModule, match="is no Wasm module"):
        plugin(tar(**{"plugin.wasm": b"text"}))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("alpine", ("docker.io", "library/alpine", "latest")),
        ("team/filter:v1", ("docker.io", "team/filter", "v1")),
        ("registry.example.com/a/b/c:v1", ("registry.example.com", "a/b/c", "v1")),
        ("registry.example.com:5000/a", ("registry.example.com:5000", "a", "latest")),
        ("localhost/a:1", ("localhost", "a", "1")),
        ("example.com/a:v1@sha256:00", ("example.com", "a", "sha256:00")),
    ],
)
def test_names_of_images(name: str, image: tuple[str, str, str]) -> None:
    assert registry.parse(name) == image


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(Unanswered, match="no name of an image"):
        registry.parse("example.com/../x")


class Store:
    """An object store in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.away = False

    async def has(self, name: str) -> bool:
        if self.away:
            raise Unavailable("away")
        return name in self.held

    async def put(self, name: str, content: bytes) -> None:
        if self.away:
            raise Unavailable("away")
        self.held[name] = content

    async def remove_all_but(self, names: frozenset[str]) -> None:
        self.held = {k: v for k, v in self.held.items() if k in names}


class Hub:
    """A registry with one image, behind a token that costs a word where there is one."""

    def __init__(self, layer: bytes = LAYER, kind: str = "application/vnd.oci.image.layer.v1.tar+gzip", word: str = "") -> None:
        self.layer, self.word = layer, word
        one = {"mediaType": kind, "digest": f"sha256:{digest(layer)}", "size": len(layer)}
        self.manifest = json.dumps({"schemaVersion": 2, "config": {}, "layers": [one]}).encode()
        self.index = json.dumps({"manifests": [{"digest": f"sha256:{digest(self.manifest)}"}]}).encode()
        self.seen: list[tuple[str, str]] = []

    def answer(self, request: web.Request) -> web.Response:
        shown = request.headers.get("authorization", "")
        self.seen.append((request.path, shown))
        if request.path == "/token":
            wanted = "Basic " + base64.b64encode(f"me:{self.word}".encode()).decode() if self.word else ""
            assert request.query["scope"] == "repository:team/filter:pull"
            return web.json_response({"token": "ticket"}) if shown == wanted else web.Response(status=403)
        if shown != "Bearer ticket":
            realm = f'Bearer realm="http://{request.host}/token",service="hub"'
            return web.Response(status=401, headers={"www-authenticate": realm})
        known = {
            "/v2/team/filter/manifests/v1": self.manifest,
            "/v2/team/filter/manifests/many": self.index,
            f"/v2/team/filter/manifests/sha256:{digest(self.manifest)}": self.manifest,
            f"/v2/team/filter/blobs/sha256:{digest(LAYER)}": self.layer,
            f"/v2/team/filter/blobs/sha256:{digest(MODULE)}": self.layer,
        }
        return web.Response(body=known[request.path]) if request.path in known else web.Response(status=404)


def modules(store: Store | None = None) -> wasm.Modules:
    return wasm.Modules(store or Store(), lambda sealed: sealed.removeprefix("!").encode())  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", ["v1", "many"])
@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (LAYER, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (MODULE, "application/vnd.module.wasm.content.layer.v1+wasm"),
    ],
)
async def test_images_of_every_kind_hold_a_module(layer: bytes, kind: str, tag: str) -> None:
    hub, store = Hub(layer, kind), Store()
    async with http_server(hub.answer) as port:
        found = await modules(store).answer({"image": f"oci://127.0.0.1:{port}/team/filter:{tag}"}, None)
    assert found["sha256"] == digest(MODULE)
    assert store.held == {found["module"]: MODULE}


async def test_a_checksum_is_that_of_the_image_or_of_the_file() -> None:
    hub = Hub()
    async with http_server(hub.answer) as port:
        image = {"image": f"127.0.0.1:{port}/team/filter:v1"}
        await modules().answer({**image, "sha256": digest(hub.manifest)}, None)
        with pytest.raises(Unanswered, match=f"has checksum {digest(hub.manifest)}, which does not match: 00"):
            await modules().answer({**image, "sha256": "00"}, None)
    async with http_server(lambda _: web.Response(body=gzip.compress(MODULE))) as port:
        file = {"url": f"http://127.0.0.1:{port}/x.wasm"}
        assert (await modules().answer({**file, "sha256": digest(MODULE)}, None))["sha256"] == digest(MODULE)
        with pytest.raises(Unanswered, match="does not match: 00"):
            await modules().answer({**file, "sha256": "00"}, None)


async def test_a_pull_secret_is_not_shown_in_clear_and_what_it_opens_to_is_not_said() -> None:
    hub = Hub(word="word")
    async with http_server(hub.answer) as port:
        image = f"127.0.0.1:{port}/team/filter:v1"
        config = json.dumps({"auths": {f"127.0.0.1:{port}": {"username": "me", "password": "word"}}})
        with pytest.raises(Unanswered) as refused:
            await modules().answer({"image": image, "pullSecret": "!" + config}, None)
        # the registry speaks plain HTTP: credentials stay here
        assert "word" not in str(refused.value)
        assert all(not shown for _, shown in hub.seen)
        with pytest.raises(Unanswered, match="answers 403"):
            await modules().answer({"image": image}, None)


@pytest.mark.parametrize(
    ("config", "header"),
    [
        ({"auths": {"example.com": {"auth": "bWU6d29yZA=="}}}, "Basic bWU6d29yZA=="),
        ({"auths": {"https://example.com": {"username": "me", "password": "word"}}}, "Basic bWU6d29yZA=="),
        ({"auths": {"other.com": {"auth": "x"}}}, None),
        ({}, None),
    ],
)
def test_credentials_are_those_of_the_registry(config: Any, header: str | None) -> None:
    assert registry._basic(json.dumps(config).encode(), "example.com") == header


@pytest.mark.parametrize("config", [b"nonsense", b"[]", b'{"auths": {"example.com": {}}}', b'{"auths": {"example.com": 1}}'])
def test_credentials_that_cannot_be_read_are_named_without_being_shown(config: bytes) -> None:
    with pytest.raises(Unanswered, match="pull secret is no Docker configuration"):
        registry._basic(config, "example.com")


async def test_a_module_is_fetched_once_and_again_when_the_store_has_lost_it() -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=MODULE)

    store = Store()
    async with http_server(answer) as port:
        question = {"url": f"http://127.0.0.1:{port}/x.wasm"}
        first = await modules(store).answer(question, None)
        assert await modules(store).answer(question, first) == first
        assert len(asked) == 1
        store.held.clear()
        assert await modules(store).answer(question, first) == first
        assert (len(asked), list(store.held)) == (2, [first["module"]])
        store.away = True
        with pytest.raises(Unanswered, match="away"):
            await modules(store).answer(question, first)
    store.held["old"] = b""
    await modules(store).keep(frozenset({first["module"]}))
    assert list(store.held) == [first["module"]]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"url": "ftp://x/y"}, "unsupported Wasm module downloading URL scheme"),
        ({"url": "http://127.0.0.1:1/x"}, "cannot be fetched"),
        ({"image": "127.0.0.1:1/x"}, "cannot be fetched"),
        ({"url": "https://127.0.0.1:1/x", "ca": "nonsense"}, "authority cannot be read"),
    ],
)
async def test_a_place_that_is_none_is_named(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Unanswered, match=sentence):
        await modules().answer(asked, None)


async def test_a_tag_that_moves_meanwhile_gives_no_other_module_than_the_one_that_was_checked() -> None:
    hub = Hub()
    checked, moved = hub.manifest, Hub(kind="text/plain").manifest

    def answer(request: web.Request) -> web.Response:
        found = hub.answer(request)
        if request.path.endswith("/manifests/v1") and found.status == 200:
            hub.manifest = moved
        return found

    async with http_server(answer) as port:
        asked = {"image": f"127.0.0.1:{port}/team/filter:v1", "sha256": digest(checked)}
        assert (await modules().answer(asked, None))["sha256"] == digest(MODULE)


async def test_registries_that_lie_are_caught() -> None:
    other = Hub(gzip.compress(tar(**{"plugin.wasm": MODULE + b"!"})))
    other.manifest = Hub().manifest
    async with http_server(other.answer) as port:
        with pytest.raises(Unanswered, match="answers another content than"):
            await modules().answer({"image": f"127.0.0.1:{port}/team/filter:v1"}, None)
    plain = Hub(kind="text/plain")
    async with http_server(plain.answer) as port:
        with pytest.raises(Unanswered, match="its last layer is text/plain"):
            await modules().answer({"image": f"127.0.0.1:{port}/team/filter:v1"}, None)
