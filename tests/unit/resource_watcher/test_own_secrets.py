"""The control plane's own Secrets from certgen's files, told by the File provider like objects in its folder."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from services.resource_watcher.provider import Update
from services.resource_watcher.providers.file import watching
from shared.bus.waiting import end
from shared.core.refs import ObjectRef
from shared.runtime.config import CustomProvider, EnvoyGateway, FileResource, InfrastructureProvider, Provider, ResourceProvider
from shared.runtime.settings import Settings
from shared.testing.wait import until

HMAC = ObjectRef("", "Secret", "envoy-gateway-system", "envoy-oidc-hmac")
OBJECT = (
    "{apiVersion: v1, kind: Secret, metadata: {name: envoy-oidc-hmac, namespace: envoy-gateway-system}, stringData: {hmac-secret: own}}"
)


async def test_they_are_there_from_the_start_follow_their_files_and_give_way_to_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RESCAN_SECONDS", 0.1)
    monkeypatch.setattr(watching, "IDLE_MS", 50)
    objects, keys = tmp_path / "objects", tmp_path / "keys"
    objects.mkdir()
    (keys / "envoy-oidc-hmac").mkdir(parents=True)
    (keys / "envoy").mkdir()
    (keys / "envoy" / "tls.crt").write_text("half of a pair")
    file = keys / "envoy-oidc-hmac" / "hmac-secret"
    file.write_bytes(b"\x00word")
    resource = ResourceProvider(type="File", file=FileResource(paths=(str(objects),)))
    custom = CustomProvider(resource=resource, infrastructure=InfrastructureProvider(type="Host"))
    settings = Settings(
        service="resource-watcher",
        config=EnvoyGateway(provider=Provider(type="Custom", custom=custom)),
        cert_dir=keys,
        state_dir=tmp_path / "state",
    )
    updates: list[Update] = []

    async def sink(update: Update) -> None:
        updates.append(update)

    def last() -> dict[str, str]:
        found = next(u.changes[HMAC] for u in reversed(updates) if HMAC in u.changes)
        assert found is not None
        return found.get("data") or found["stringData"]  # type: ignore[no-any-return]

    running = asyncio.create_task(watching.FileProvider(settings).run(sink, asyncio.Event()))
    try:
        await until(lambda: updates)
        assert updates[0].complete
        assert set(updates[0].changes) == {HMAC}, "a Secret that is not whole is none"
        assert last() == {"hmac-secret": base64.b64encode(b"\x00word").decode()}
        file.write_bytes(b"new")
        await until(lambda: last() == {"hmac-secret": base64.b64encode(b"new").decode()})
        (objects / "own.yaml").write_text(OBJECT)
        await until(lambda: last() == {"hmac-secret": "own"})
        (objects / "own.yaml").unlink()
        await until(lambda: last() == {"hmac-secret": base64.b64encode(b"new").decode()})
    finally:
        await end(running)
