"""What a listener does to paths, as a ClientTrafficPolicy writes it; None leaves the default."""

from __future__ import annotations

from shared.api.base import Spec
from shared.features.client.path.ir import EscapedSlashes


class PathSpec(Spec, frozen=True):
    disable_merge_slashes: bool | None = None
    escaped_slashes_action: EscapedSlashes | None = None
