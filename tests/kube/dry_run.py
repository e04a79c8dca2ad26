"""What a real API server would say of an object, without keeping it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.kube.apiserver import ApiServer

_PLURALS = {"EnvoyProxy": "envoyproxies", "NetworkPolicy": "networkpolicies"}


def says_of(server: ApiServer, path: str, body: dict[str, Any], says: str) -> None:
    """The server refuses the object with these words; with none it takes it."""
    answer = server.http.post(path, json=body, params={"dryRun": "All", "fieldValidation": "Strict"})
    assert answer.is_success is not bool(says), answer.text
    assert says in answer.text


def applies(server: ApiServer, document: dict[str, Any]) -> None:
    """The server takes the document as server-side apply brings it."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    answer = server.http.patch(
        f"/{'apis' if '/' in version else 'api'}/{version}{inside}/{plural}/{metadata['name']}",
        params={"fieldManager": "test", "dryRun": "All", "fieldValidation": "Strict"},
        content=yaml.safe_dump(document),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert answer.is_success, answer.text
