"""What is wrong with a policy, gathered while its spec is read: every fault is told, and what is right is still translated."""

from __future__ import annotations

from shared.core import durations
from shared.core.quantities import Quantity, whole

UINT32 = (1 << 32) - 1


class Faults:
    """Sentences for a person, in the order in which they were met. `within` says which part of the policy is being read."""

    def __init__(self, within: str = "") -> None:
        self._within = within
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        self.texts.append(f"{self._within}: {text}" if self._within else text)

    def inside(self, part: str) -> Faults:
        """For a part of the policy: what it gathers is gathered here too."""
        inner = Faults(f"{self._within}: {part}" if self._within else part)
        inner.texts = self.texts
        return inner

    def duration(self, field: str, text: str | None) -> str | None:
        """The duration in its normal spelling; None, and a fault, for what is none."""
        if text is None:
            return None
        try:
            return durations.normal(text)
        except ValueError:
            self.add(f"invalid {field} value {text}")
            return None

    def as_written(self, field: str, text: str | None) -> str | None:
        """The duration as it stands; None, and a fault, for what is none."""
        return text if self.duration(field, text) is not None else None

    def seconds(self, field: str, text: str | None) -> int | None:
        """The duration's whole seconds."""
        found = self.duration(field, text)
        return None if found is None else durations.parse(found) // 1_000_000_000

    def size(self, field: str, quantity: Quantity | None, least: int = 0, most: int = UINT32) -> int | None:
        """The quantity as a number within those bounds; None, and a fault, for any other."""
        if quantity is None:
            return None
        number = whole(quantity)
        if number is None:
            self.add(f"invalid {field} value {quantity}")
        elif not least <= number <= most:
            self.add(f"{field} value {quantity} is out of range, must be between {least} and {most}")
        else:
            return number
        return None
