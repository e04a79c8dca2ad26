"""What a listener does to paths: the policy's word goes before the listener's defaults."""

from __future__ import annotations

from shared.features.client.path.ir import PathSettings
from shared.features.client.path.spec import PathSpec


def translate(spec: PathSpec | None, default: PathSettings) -> PathSettings:
    if spec is None:
        return default
    return PathSettings(
        merge_slashes=default.merge_slashes if spec.disable_merge_slashes is None else not spec.disable_merge_slashes,
        escaped_slashes_action=spec.escaped_slashes_action or default.escaped_slashes_action,
    )
