"""Wasm extensions: their modules come from the world outside (services/resource_watcher/facts/wasm.py), and are served by xds_server."""

from __future__ import annotations

from typing import Any

from shared.core.refs import ObjectRef
from shared.features.extension.wasm.ir import Wasm, WasmCode
from shared.features.extension.wasm.spec import CodeTlsSpec, HttpCodeSpec, ImageCodeSpec, WasmCodeSpec, WasmSpec
from shared.features.parts.policy_lookup import Fault, Lookup, config_name, value_at

MODULE = "wasm"
"""The kind of question that gets a module."""
_CREDENTIALS = ".dockerconfigjson"
_IMAGE = "oci://"


def translate(spec: WasmSpec, index: int, owner: ObjectRef, lookup: Lookup) -> Wasm:
    """`index` is its place in the policy, which names it. Raises Fault."""
    name = f"{config_name(owner)}/wasm/{index}"
    url, asked = _question(spec.code, owner, lookup)
    found = lookup.fact(MODULE, asked)
    code = WasmCode(serving_url=lookup.module_url(found["module"]), original_url=url, sha256=found["sha256"])
    return Wasm(
        name=name,
        wasm_name=spec.name if spec.name is not None else name,
        root_id=spec.root_id,
        config=spec.config,
        fail_open=spec.fail_open,
        code=code,
        host_keys=spec.env.host_keys if spec.env is not None else (),
    )


def _question(code: WasmCodeSpec, owner: ObjectRef, lookup: Lookup) -> tuple[str, dict[str, Any]]:
    """The URL, and what is asked. Whoever always wants the newest asks anew with each change of the policy."""
    if code.type == "HTTP":
        if code.http is None:
            raise Fault("missing HTTP field in Wasm code source")
        url, asked, fresh = code.http.url, {"url": code.http.url}, False
        asked |= _common(code.http, owner, lookup)
    elif code.type == "Image":
        if code.image is None:
            raise Fault("missing Image field in Wasm code source")
        url = _image(code.image.url)
        asked, fresh = {"image": url} | _common(code.image, owner, lookup), url.endswith(":latest")
        if (ref := code.image.pull_secret_ref) is not None:
            missing = f"missing {_CREDENTIALS} key in secret {ref.namespace or owner.namespace}/{ref.name}"
            asked["pullSecret"] = value_at(lookup.secret(owner, ref), _CREDENTIALS, missing)
    else:
        raise Fault(f"unsupported Wasm code source type {code.type!r}")
    if code.pull_policy == "Always" or (code.pull_policy is None and fresh):
        asked["version"] = f"{owner.namespace}/{owner.name}@{lookup.revision(owner)}"
    return url, asked


def _common(source: HttpCodeSpec | ImageCodeSpec, owner: ObjectRef, lookup: Lookup) -> dict[str, Any]:
    asked = {"sha256": source.sha256} if source.sha256 else {}
    return asked | ({"ca": _bundle(source.tls, owner, lookup)} if source.tls is not None else {})


def _bundle(tls: CodeTlsSpec, owner: ObjectRef, lookup: Lookup) -> str:
    return lookup.bundle(owner, tls.ca_certificate_ref).decode(errors="replace")


def _image(url: str) -> str:
    """With its scheme, and a tag unless it is named by its digest."""
    name = url.removeprefix(_IMAGE)
    tagged = "@" in name or ":" in name.rpartition("/")[2]
    return f"{_IMAGE}{name}" if tagged else f"{_IMAGE}{name}:latest"
