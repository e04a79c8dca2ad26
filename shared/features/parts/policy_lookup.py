"""What the translation of a policy's features may ask of the objects around it; everything is recorded by the caller's reads.

References count from the object that wrote them, so each question names its owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from shared.api.gateway import SecretObjectReference
from shared.core import durations
from shared.core.refs import ObjectRef
from shared.features.parts.service_spec import ServiceRef
from shared.ir.destination import AppProtocol, Destination

T = TypeVar("T")


class Fault(Exception):
    """Why a feature cannot be had as it is written; a sentence for a person."""


class Lookup(Protocol):
    """All of these raise Fault where something is missing or not permitted."""

    def secret(self, owner: ObjectRef, ref: SecretObjectReference) -> Mapping[str, str]:
        """A Secret's data, sealed."""

    def config_map(self, owner: ObjectRef, name: str) -> Mapping[str, str]:
        """A ConfigMap's data, of the owner's namespace."""

    def opened(self, value: str) -> bytes:
        """A sealed value, to look whether it is sound; it must not leave the translation."""

    def hmac_secret(self) -> str:
        """The control plane's own secret that signs cookies, sealed."""

    def destination(self, owner: ObjectRef, name: str, refs: Iterable[ServiceRef], protocol: AppProtocol) -> Destination:
        """The services that are referred to, as one destination of that name."""

    def authority(self, owner: ObjectRef, ref: ServiceRef) -> str:
        """How a service is called in requests to it."""


def config_name(policy: ObjectRef) -> str:
    """What a policy's filters and clusters are called after."""
    return f"{policy.kind.lower()}/{policy.namespace}/{policy.name}"


def service_name(owner: ObjectRef, feature: str, index: int = 0) -> str:
    """The destination of a policy's service."""
    return f"{config_name(owner)}/{feature}/{index}".lower()


def value_at(data: Mapping[str, str], key: str, missing: str) -> str:
    """A value that must be there and must not be empty; raises Fault with the sentence `missing`."""
    value = data.get(key)
    if not value:
        raise Fault(missing)
    return value


def any_value(data: Mapping[str, str], key: str) -> str | None:
    """The value under that key, or else the first there is."""
    return data.get(key, next((data[k] for k in sorted(data)), None))


def duration(field: str, text: str | None) -> str | None:
    """A duration in Go's spelling; raises Fault for what is none."""
    try:
        return durations.normal(text) if text is not None else None
    except ValueError:
        raise Fault(f"invalid {field} value {text}") from None


def all_of(made: Iterable[Callable[[], T]]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """What could be made, and why the others could not."""
    found, faults = [], []
    for make in made:
        try:
            found.append(make())
        except Fault as e:
            faults.append(str(e))
    return tuple(found), tuple(faults)
