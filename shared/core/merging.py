"""How one piece of JSON goes over another: RFC 7396, and Kubernetes' strategic variant, in which some lists are kept by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Keys = Mapping[str, str]
"""Path of a list ('a.b') -> the field by which its members are told apart."""


def merged(under: Any, over: Any, keys: Keys | None = None, path: str = "") -> Any:
    """`over` laid upon `under`: objects field by field, null removes, everything else replaces.

    With `keys` the lists that they name keep the members of `under` that `over` does not have, those of `over` first.
    """
    if isinstance(over, Mapping):
        base = under if isinstance(under, Mapping) else {}
        out = dict(base)
        for field, value in over.items():
            if value is None:
                out.pop(field, None)
            else:
                out[field] = merged(base.get(field), value, keys, f"{path}.{field}" if path else field)
        return out
    key = keys.get(path) if keys is not None else None
    if key is None or not isinstance(under, list) or not isinstance(over, list):
        return over
    return _by_key(under, over, key)


def _by_key(under: list[Any], over: list[Any], key: str) -> list[Any]:
    def name(member: Any) -> Any:
        return member.get(key) if isinstance(member, Mapping) else None

    before = {name(m): m for m in under}
    named = {name(m) for m in over}
    return [*(merged(before.get(name(m)), m) for m in over), *(m for m in under if name(m) not in named)]
