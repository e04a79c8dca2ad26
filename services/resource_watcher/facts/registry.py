"""Wasm modules in OCI registries (OCI distribution specification 1.1): a manifest, and the one layer of it that counts.

A client of our own, because this one can be cancelled, bounds what it reads, and trusts an authority that each policy names.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp
import msgspec

from services.resource_watcher.facts.answering import Unanswered
from services.resource_watcher.facts.fetching import Fetched, fetch
from services.resource_watcher.facts.unpacking import MOST, NoModule, plugin
from shared.core.digest import digest

_HUB, _HUB_HOST, _HUB_KEY = "docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"
_MANIFEST_SIZE = 4 << 20
_DOCKER, _OCI = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"
_LISTS = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
_LAYERS = ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip")
_WASM_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"
_ACCEPT = ", ".join((_DOCKER, _OCI, *_LISTS))
_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "wrong version number", "record layer failure")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Image(NamedTuple):
    """`reference`: a tag or `sha256:…`."""

    host: str
    repository: str
    reference: str


class _Part(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""


class Manifest(msgspec.Struct, rename="camel"):
    media_type: str = ""
    layers: tuple[_Part, ...] = ()
    manifests: tuple[_Part, ...] = ()


def parse(name: str) -> Image:
    """`host[:port]/repository[:tag][@digest]`, as container engines read it. Raises Unanswered."""
    place, _, pinned = name.partition("@")
    head, slash, rest = place.partition("/")
    named = bool(slash) and ("." in head or ":" in head or head == "localhost")
    host, path = (head, rest) if named else (_HUB, place)
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "latest"
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not re.fullmatch(r"[a-z0-9]+([._/-][a-z0-9]+|__[a-z0-9]+|-+[a-z0-9]+)*", repository):
        raise Unanswered(f"{name!r} is no name of an image")
    return Image(host, repository, pinned or tag)


class Registry:
    """One image's registry. `credentials`: the content of a Secret's `.dockerconfigjson`, or nothing."""

    def __init__(self, client: aiohttp.ClientSession, image: Image, ssl: Any, credentials: bytes | None) -> None:
        self._client = client
        self._image = image
        self._how = {"ssl": ssl}
        self._basic = _basic(credentials, image.host) if credentials else None
        self._headers: dict[str, str] = {}
        self._scheme = "https"

    async def manifest(self) -> tuple[Manifest, str]:
        """The image's manifest, and the SHA-256, hex, of what the image's name stands for. Raises Unanswered."""
        manifest, body = await self._manifest(self._image.reference)
        return manifest, digest(body)

    async def module(self, manifest: Manifest) -> bytes:
        """Raises Unanswered."""
        found = next((p for p in manifest.layers if p.media_type == _WASM_LAYER), None)
        if found is not None:
            return await self._blob(found)
        last = manifest.layers[-1] if manifest.layers else None
        if last is None or last.media_type not in _LAYERS:
            raise Unanswered(f"the image {self._shown} is no Wasm image: its last layer is {last.media_type if last else 'missing'}")
        try:
            return plugin(await self._blob(last))
        except NoModule as e:
            raise Unanswered(f"the image {self._shown} is no Wasm image: {e}") from e

    @property
    def _shown(self) -> str:
        return f"{self._image.host}/{self._image.repository}:{self._image.reference}"

    async def _manifest(self, reference: str) -> tuple[Manifest, bytes]:
        found = await self._get(f"manifests/{reference}", _MANIFEST_SIZE, {"accept": _ACCEPT})
        if reference.startswith("sha256:") and digest(found.body) != reference.removeprefix("sha256:"):
            raise Unanswered(f"the registry answers another manifest than {reference}")
        try:
            manifest = msgspec.json.decode(found.body, type=Manifest)
        except msgspec.DecodeError as e:
            raise Unanswered(f"the manifest of {self._shown} cannot be read: {e}") from e
        if manifest.manifests:  # a module is the same for every platform
            return (await self._manifest(manifest.manifests[0].digest))[0], found.body
        return manifest, found.body

    async def _blob(self, part: _Part) -> bytes:
        body = (await self._get(f"blobs/{part.digest}", MOST, {})).body
        if part.digest != f"sha256:{digest(body)}":
            raise Unanswered(f"the registry answers another content than {part.digest}")
        return body

    async def _get(self, path: str, most: int, headers: Mapping[str, str]) -> Fetched:
        host = _HUB_HOST if self._image.host == _HUB else self._image.host
        both = (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
        for accept in (both, (HTTPStatus.OK,)):
            rest = f"://{host}/v2/{self._image.repository}/{path}"
            try:
                found = await fetch(self._client, self._scheme + rest, most, accept, headers={**headers, **self._headers}, **self._how)
            except Unanswered as e:
                if self._basic is not None or self._scheme == "http" or not _speaks_plainly(e):
                    raise
                self._scheme = "http"
                found = await fetch(self._client, self._scheme + rest, most, accept, headers={**headers, **self._headers})
            if found.status == HTTPStatus.OK:
                return found
            self._headers = {"authorization": await self._answer(found.headers.get("www-authenticate", ""))}
        raise AssertionError("unreachable")

    async def _answer(self, challenge: str) -> str:
        """What a registry wants to see: a token from where it says, or the name and the word themselves."""
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic" and self._basic is not None:
            return self._basic
        said = dict(_CHALLENGE.findall(rest))
        if kind.lower() != "bearer" or "realm" not in said:
            raise Unanswered(f"the registry {self._image.host} wants credentials: name a pullSecretRef")
        query = {"scope": f"repository:{self._image.repository}:pull", **{k: v for k, v in said.items() if k in ("service", "scope")}}
        own = {"authorization": self._basic} if self._basic is not None else {}
        found = await fetch(self._client, said["realm"], _MANIFEST_SIZE, headers=own, params=query, **self._how)
        try:
            answer = msgspec.json.decode(found.body, type=dict[str, Any])
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except (msgspec.DecodeError, KeyError) as e:
            raise Unanswered(f"{said['realm']} answers no token") from e


def _speaks_plainly(error: Unanswered) -> bool:
    """Whether a server answered a TLS hello without TLS, as registries on developers' machines do. No credentials are shown to these."""
    return isinstance(error.__cause__, aiohttp.ClientSSLError) and any(word in str(error) for word in _PLAIN)


def _basic(config: bytes, host: str) -> str | None:
    """The Authorization header for a registry, from a Docker configuration; None where it names no such registry."""
    try:
        known = msgspec.json.decode(config, type=dict[str, Any]).get("auths") or {}
        keys = (_HUB_KEY, _HUB, _HUB_HOST) if host == _HUB else (host, f"https://{host}", f"http://{host}")
        found = next((known[key] for key in keys if key in known), None)
        if found is None:
            return None
        return "Basic " + (found.get("auth") or base64.b64encode(f"{found['username']}:{found['password']}".encode()).decode())
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError) as e:
        raise Unanswered("the pull secret is no Docker configuration") from e
