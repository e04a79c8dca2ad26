"""The control plane's own Secrets, which certgen keeps as files beside the objects: a cluster has them as objects."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.core.refs import ObjectRef

_KEYS = {"envoy": ("ca.crt", "tls.crt", "tls.key"), "envoy-oidc-hmac": ("hmac-secret",)}
"""Those that configurations make use of; the others are nobody's business."""


def own_secrets(folder: Path, namespace: str) -> Iterator[tuple[ObjectRef, dict[str, Any], str]]:
    """Each Secret of which every file can be read, and where it stands."""
    for name, keys in _KEYS.items():
        try:
            data = {key: base64.b64encode((folder / name / key).read_bytes()).decode() for key in keys}
        except OSError:
            continue
        metadata = {"name": name, "namespace": namespace}
        kind = "kubernetes.io/tls" if "tls.crt" in keys else "Opaque"
        raw = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}
        yield ObjectRef("", "Secret", namespace, name), raw, str(folder / name)
