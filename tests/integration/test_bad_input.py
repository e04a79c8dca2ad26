"""Whatever stands in the folder: it costs the object that is wrong, that object says why, and everything else keeps serving."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from services.cli.certgen import certificates
from shared.testing.wait import until
from tests.integration.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - matches: [{{path: {{type: {kind}, value: "{path}"}}}}]
    backendRefs: [{ref}]
"""
TO_ONE = "{group: gateway.envoyproxy.io, kind: Backend, name: one}"


def route(name: str, path: str, *, kind: str = "PathPrefix", ref: str = TO_ONE) -> str:
    return ROUTE.format(name=name, path=path, kind=kind, ref=ref)


async def still_takes_edits(running: Running, mark: str) -> None:
    """A change after the bad one goes through."""
    running.p.route("after", "one", path="/after", answer=mark)
    await running.p.answers("/after", mark)


async def problem_with(running: Running, file: str) -> dict[str, str]:
    async def told() -> dict[str, str] | None:
        return next((p for p in await running.p.problems() if p["where"].endswith(file)), None)

    found: dict[str, str] | None = await until(told)
    assert found is not None
    return found


async def condition(running: Running, name: str, kind: str, status: str, reason: str) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        found = running.p.conditions(name).get(kind)
        return found if found and (found["status"], found["reason"]) == (status, reason) else None

    try:
        got: dict[str, Any] | None = await until(there)
    except AssertionError:
        raise AssertionError(f"{name} has {running.p.conditions(name)}") from None
    assert got is not None
    return got


async def gone(running: Running, file: str) -> None:
    (running.p.folder / file).unlink()

    async def forgotten() -> bool:
        return not [p for p in await running.p.problems() if p["where"].endswith(file)]

    await until(forgotten)


async def test_yaml_that_cannot_be_parsed_keeps_what_it_last_gave(undisturbed: Running) -> None:
    p = undisturbed.p
    p.write("half.yaml", route("half", "/half"))
    await until(lambda: _ok(undisturbed, "/half"))
    p.write("half.yaml", route("half", "/half") + "---\nkind: [")
    assert "not valid YAML: line" in (await problem_with(undisturbed, "half.yaml"))["message"]
    p.write("half.yaml", "spec: {parentRefs: [")
    await still_takes_edits(undisturbed, "unparsable")
    assert await _ok(undisturbed, "/half")
    await gone(undisturbed, "half.yaml")
    await until(lambda: _missing(undisturbed, "/half"))


async def test_an_unknown_kind_is_named(undisturbed: Running) -> None:
    undisturbed.p.write(
        "unknown.yaml", "apiVersion: example.com/v1\nkind: Frobnicator\nmetadata: {name: x}\n---\n" + route("beside", "/beside")
    )
    assert "Frobnicator of example.com/v1 is not known" in (await problem_with(undisturbed, "unknown.yaml"))["message"]
    await until(lambda: _ok(undisturbed, "/beside"))
    await gone(undisturbed, "unknown.yaml")


async def test_a_field_of_the_wrong_type_is_a_condition_that_names_it(undisturbed: Running) -> None:
    undisturbed.p.write("type.yaml", route("typed", "/typed").replace('value: "/typed"', "value: {a: 1}"))
    found = await until(lambda: next((c for c in undisturbed.p.conditions("typed").values() if c["status"] == "False"), None))
    assert found is not None
    assert "spec.rules[0].matches[0].path.value" in found["message"]
    await still_takes_edits(undisturbed, "wrong-type")
    (undisturbed.p.folder / "type.yaml").unlink()


async def test_an_invalid_regular_expression_costs_its_route(undisturbed: Running) -> None:
    undisturbed.p.write("regex.yaml", route("regex", "/a(b", kind="RegularExpression"))
    found = await until(lambda: next((c for c in undisturbed.p.conditions("regex").values() if c["status"] == "False"), None))
    assert found is not None
    assert "/a(b" in found["message"] or "regex" in found["message"].lower()
    await still_takes_edits(undisturbed, "regex")
    (undisturbed.p.folder / "regex.yaml").unlink()


@pytest.mark.parametrize(
    ("name", "ref", "reason"),
    [
        ("no-backend", "{group: gateway.envoyproxy.io, kind: Backend, name: nowhere}", "BackendNotFound"),
        ("no-service", "{name: nowhere, port: 80}", "BackendNotFound"),
        ("no-grant", "{group: gateway.envoyproxy.io, kind: Backend, name: one, namespace: elsewhere}", "RefNotPermitted"),
    ],
)
async def test_a_missing_backend_or_grant_answers_500_and_says_so(undisturbed: Running, name: str, ref: str, reason: str) -> None:
    undisturbed.p.write(f"{name}.yaml", route(name, f"/{name}", ref=ref))
    await condition(undisturbed, name, "ResolvedRefs", "False", reason)

    async def refused() -> bool:
        return (await undisturbed.p.get(f"/{name}")).status_code == 500

    await until(refused)
    await still_takes_edits(undisturbed, name)
    (undisturbed.p.folder / f"{name}.yaml").unlink()


async def test_the_same_object_in_two_files_is_reported_and_harms_nothing(undisturbed: Running) -> None:
    p = undisturbed.p
    p.write("m-first.yaml", route("twice", "/twice"))
    await until(lambda: _ok(undisturbed, "/twice"))
    p.write("z-second.yaml", route("twice", "/elsewhere"))
    assert "m-first.yaml too" in (await problem_with(undisturbed, "z-second.yaml"))["message"]
    await still_takes_edits(undisturbed, "twice")
    assert await _ok(undisturbed, "/twice")
    assert await _missing(undisturbed, "/elsewhere")
    (p.folder / "m-first.yaml").unlink()
    await until(lambda: _ok(undisturbed, "/elsewhere"))
    (p.folder / "z-second.yaml").unlink()


async def test_a_broken_certificate_costs_its_listener(undisturbed: Running) -> None:
    p = undisturbed.p
    p.write("secret.yaml", _secret("cert", b"no certificate", b"no key"))
    p.gateway(listeners=_https(p.tls_port, "cert"))

    def refused() -> dict[str, Any] | None:
        status = p.status("gateway.networking.k8s.io", "Gateway", "gw")
        listener: dict[str, Any] = next((x for x in status.get("listeners", ()) if x["name"] == "https"), {})
        return next((c for c in listener.get("conditions", ()) if c["type"] == "ResolvedRefs" and c["status"] == "False"), None)

    found = await until(refused)
    assert found is not None
    assert found["reason"] == "InvalidCertificateRef"
    await still_takes_edits(undisturbed, "broken-certificate")
    _, pairs = certificates(hosts=("localhost", "127.0.0.1"))
    p.write("secret.yaml", _secret("cert", pairs["envoy"].certificate, pairs["envoy"].key))
    await until(lambda: _https_ok(undisturbed))
    await _no_secret_in_clear(undisturbed, pairs["envoy"].key)
    p.gateway()
    (p.folder / "secret.yaml").unlink()


async def test_a_missing_secret_is_a_condition_until_it_comes(undisturbed: Running) -> None:
    p = undisturbed.p
    p.gateway(listeners=_https(p.tls_port, "later"))

    def refused() -> bool:
        status = p.status("gateway.networking.k8s.io", "Gateway", "gw")
        listener: dict[str, Any] = next((x for x in status.get("listeners", ()) if x["name"] == "https"), {})
        return any(c["reason"] == "InvalidCertificateRef" for c in listener.get("conditions", ()))

    await until(refused)
    _, pairs = certificates(hosts=("localhost", "127.0.0.1"))
    p.write("secret.yaml", _secret("later", pairs["envoy"].certificate, pairs["envoy"].key))
    await until(lambda: _https_ok(undisturbed))
    p.gateway()


async def test_a_port_that_is_taken_is_told_and_the_other_listener_serves(undisturbed: Running) -> None:
    p = undisturbed.p
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        p.gateway(listeners=f"  - {{name: taken, protocol: HTTP, port: {port}}}")

        async def told() -> bool:
            return any(str(port).encode() in v for v in (await p.stream("STATUS", "status.infra.>")).values())

        await until(told)
        await still_takes_edits(undisturbed, "taken")
    p.gateway()


async def test_a_file_of_20_megabytes_is_read_or_refused_but_never_in_the_way(undisturbed: Running) -> None:
    p = undisturbed.p
    p.write("huge.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: huge}\ndata:\n  x: " + "y" * 20_000_000 + "\n")
    assert "the limit is 1,572,864" in (await problem_with(undisturbed, "huge.yaml"))["message"]
    await still_takes_edits(undisturbed, "huge")
    await gone(undisturbed, "huge.yaml")


async def test_the_folder_removed_and_put_back(undisturbed: Running) -> None:
    p = undisturbed.p
    await until(lambda: _ok(undisturbed, "/good"))
    before = await p.stream("IR", "ir.xds.>")
    aside = p.remove_folder()

    async def noticed() -> bool:
        return any("is not there" in problem["message"] for problem in await p.problems())

    await until(noticed)
    assert await p.stream("IR", "ir.xds.>") == before
    aside.rename(p.folder)
    await still_takes_edits(undisturbed, "folder")


def _secret(name: str, certificate: bytes, key: bytes) -> str:
    data = "".join(f"  {k}: {base64.b64encode(v).decode()}\n" for k, v in (("tls.crt", certificate), ("tls.key", key)))
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\ndata:\n{data}"


def _https(port: int, secret: str) -> str:
    return f"  - {{name: https, protocol: HTTPS, port: {port}, tls: {{certificateRefs: [{{name: {secret}}}]}}}}"


async def _https_ok(running: Running) -> bool:
    import ssl

    import httpx

    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    async with httpx.AsyncClient(verify=unverified, timeout=5) as client:
        return (await client.get(f"https://127.0.0.1:{running.p.tls_port}/good")).status_code == 200


async def _no_secret_in_clear(running: Running, key: bytes) -> None:
    """Neither the bus nor a log holds the private key, in whatever form."""
    body = b"".join(key.splitlines()[1:-1])
    forms = (body[:40], base64.b64encode(key)[20:60], b"PRIVATE KEY")
    for stream, subject in (("RESOURCES", "resources.>"), ("IR", "ir.>"), ("STATUS", "status.>")):
        for where, value in (await running.p.stream(stream, subject)).items():
            assert not any(form in value for form in forms), where
    for file in running.p.layout.logs.iterdir():
        assert not any(form in file.read_bytes() for form in forms), file


async def _ok(running: Running, path: str) -> bool:
    return (await running.p.get(path)).status_code == 200


async def _missing(running: Running, path: str) -> bool:
    return (await running.p.get(path)).status_code == 404
