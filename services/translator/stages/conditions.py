"""Conditions as Kubernetes keeps them: one of each type, later ones replace earlier ones in place."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from shared.ir.status import Condition

_LONGEST = 32768
_CUT = " (message truncated)."


class Conditions:
    """A list under construction; it never leaves the query that builds it."""

    def __init__(self, generation: int = 0, start: Iterable[Condition] = ()) -> None:
        self._generation = generation
        self._by_type: dict[str, Condition] = {c.type: c for c in start}

    def rename(self, reason: str, to: str) -> None:
        """Another vocabulary's word for the same reason."""
        self._by_type = {k: replace(c, reason=to) if c.reason == reason else c for k, c in self._by_type.items()}

    def set(self, kind: str, status: bool, reason: str, message: str = "") -> None:
        text = message if len(message) <= _LONGEST else message[: _LONGEST - len(_CUT)] + _CUT
        self._by_type[kind] = Condition(
            type=kind, status="True" if status else "False", reason=reason, message=text, observed_generation=self._generation
        )

    def status(self, kind: str) -> str | None:
        found = self._by_type.get(kind)
        return None if found is None else found.status

    def reason(self, kind: str) -> str | None:
        found = self._by_type.get(kind)
        return None if found is None else found.reason

    def message(self, kind: str) -> str | None:
        found = self._by_type.get(kind)
        return None if found is None else found.message

    def __len__(self) -> int:
        return len(self._by_type)

    def __contains__(self, kind: str) -> bool:
        return kind in self._by_type

    def all(self) -> tuple[Condition, ...]:
        return tuple(self._by_type.values())


def sentence(text: str) -> str:
    """A message as Envoy Gateway shows errors: capital first, full stop last."""
    if not text:
        return text
    shown = text[0].upper() + text[1:]
    return shown if shown.endswith(".") else shown + "."


def plain(conditions: Iterable[Condition]) -> list[dict[str, object]]:
    """Conditions as a status object holds them."""
    return [
        {
            "type": c.type,
            "status": c.status,
            "reason": c.reason,
            "message": c.message,
            **({"observedGeneration": c.observed_generation} if c.observed_generation else {}),
        }
        for c in conditions
    ]
