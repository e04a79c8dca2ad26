"""Wasm extensions as Envoy Gateway's EnvoyExtensionPolicy writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference


class CodeTlsSpec(Spec, frozen=True):
    ca_certificate_ref: SecretObjectReference


class HttpCodeSpec(Spec, frozen=True):
    url: str
    sha256: str | None = None
    tls: CodeTlsSpec | None = None


class ImageCodeSpec(Spec, frozen=True):
    url: str
    sha256: str | None = None
    pull_secret_ref: SecretObjectReference | None = None
    tls: CodeTlsSpec | None = None


class WasmCodeSpec(Spec, frozen=True):
    """`type` says which: HTTP or Image."""

    type: str
    http: HttpCodeSpec | None = None
    image: ImageCodeSpec | None = None
    pull_policy: str | None = None


class WasmEnvSpec(Spec, frozen=True):
    host_keys: tuple[str, ...] = ()


class WasmSpec(Spec, frozen=True):
    code: WasmCodeSpec
    name: str | None = None
    root_id: str | None = msgspec.field(default=None, name="rootID")
    config: Any = None
    fail_open: bool = False
    env: WasmEnvSpec | None = None
