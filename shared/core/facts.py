"""Questions to the world outside of the cluster, whose answers are input.

`wants.facts.<kind>.<digest>` asks (its value is the question), `facts.<kind>.<digest>` answers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from shared.core.digest import digest
from shared.core.refs import ObjectRef

_SHORT = 200
WANTS, FACTS = "wants.facts", "facts"


class Question(NamedTuple):
    """`body` is JSON with sorted keys, so that equal questions are one."""

    kind: str
    body: bytes

    @classmethod
    def of(cls, kind: str, asked: dict[str, Any]) -> Question:
        return cls(kind, msgspec.json.encode(asked, order="deterministic"))

    def subject(self, prefix: str) -> str:
        return f"{prefix}.{self.kind}.{self.name}"

    @property
    def name(self) -> str:
        return digest(self.body)[:32]

    @property
    def asked(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    def __str__(self) -> str:
        """For statuses: what was asked, without what is long (certificates)."""
        short = (str(value) for value in self.asked.values() if len(str(value)) <= _SHORT)
        return " ".join((self.kind, *short))


Wanted = ObjectRef | Question
"""What a translation may wait for."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """To what was `asked`. `problem`: why there is no `value`, and never has been; it is still being asked for."""

    asked: dict[str, Any] = {}
    value: dict[str, Any] | None = None
    problem: str = ""
