"""What the bus should hold of a provider's objects: everything, but of private kinds only what something wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.resource_watcher.provider import Problem
from services.resource_watcher.stages.objects import ObjectError, Seal, prepare
from shared.core.kinds import KINDS
from shared.core.refs import ObjectRef

ABSENT = b'{"absent":true}'
"""The answer to a want for an object that does not exist."""

Puts = dict[ObjectRef, bytes | None]


class Outbox:
    """`complete` is set once the provider has named everything: from then on a want can be answered by "absent"."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._objects: dict[ObjectRef, bytes] = {}
        self._retained: dict[ObjectRef, bytes] = {}
        self._wants: set[ObjectRef] = set()
        self._problems: dict[ObjectRef, Problem] = {}
        self.complete = False

    def update(self, changes: Mapping[ObjectRef, dict[str, Any] | None], sources: Mapping[ObjectRef, str]) -> Puts:
        """What to publish (None deletes) because the provider's objects changed. An object that cannot be published stays as it was."""
        touched: list[ObjectRef] = []
        for ref, raw in changes.items():
            self._problems.pop(ref, None)
            if raw is None:
                self._objects.pop(ref, None)
            else:
                try:
                    self._objects[ref] = prepare(ref, raw, self._seal)
                except ObjectError as e:
                    self._problems[ref] = Problem(sources.get(ref, ""), str(e), str(ref))
                    continue
            self._retained.pop(ref, None)
            touched.append(ref)
        return self._puts(touched)

    def want(self, changes: Mapping[ObjectRef, bool]) -> Puts:
        """What to publish because wants came (True) or went."""
        for ref, wanted in changes.items():
            (self._wants.add if wanted else self._wants.discard)(ref)
        return {ref: self._value(ref) for ref in changes if _private(ref) and (ref in self._wants or self.complete)}

    @property
    def wanted(self) -> frozenset[ObjectRef]:
        return frozenset(self._wants)

    def retain(self, ref: ObjectRef, value: bytes) -> None:
        """What the bus holds of an object that the provider cannot read now: it stands in for the object, and is no absence."""
        if ref not in self._objects and value != ABSENT:
            self._retained[ref] = value

    def release(self, ref: ObjectRef) -> Puts:
        """What to publish because the object's place can be read again, and it is not there."""
        return self._puts([ref]) if self._retained.pop(ref, None) is not None else {}

    def refuses(self, ref: ObjectRef) -> bool:
        """Whether the object is there, but not in a form that can be published."""
        return ref in self._problems

    def values(self) -> dict[ObjectRef, bytes]:
        """All that the bus should hold."""
        answers = ((ref, self._value(ref)) for ref in {*self._objects, *self._retained, *self._wants})
        return {ref: value for ref, value in answers if value is not None}

    def problems(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._problems.values()))

    def __contains__(self, ref: ObjectRef) -> bool:
        return ref in self._objects

    def __len__(self) -> int:
        return len(self._objects)

    def _puts(self, refs: Iterable[ObjectRef]) -> Puts:
        return {ref: self._value(ref) for ref in refs if not _private(ref) or ref in self._wants}

    def _value(self, ref: ObjectRef) -> bytes | None:
        if _private(ref) and ref not in self._wants:
            return None
        found = self._objects.get(ref, self._retained.get(ref))
        if found is None and ref in self._wants and self.complete:
            return ABSENT
        return found


def _private(ref: ObjectRef) -> bool:
    info = KINDS.get((ref.group, ref.kind))
    return info is not None and info.wanted
