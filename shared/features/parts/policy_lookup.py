"""What the translation of a policy's features may ask of the objects around it; everything is recorded by the caller's reads.

References count from the object that wrote them, so each question names its owner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from shared.api.gateway import SecretObjectReference
from shared.core import durations
from shared.core.refs import ObjectRef
from shared.features.parts.service_spec import ServiceRef
from shared.ir.destination import AppProtocol, Destination

T = TypeVar("T")
_HEADER = re.compile(r"[!#$%&'*+\-.^_|~`0-9A-Za-z]+")


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

    def fact(self, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the world outside of the cluster answers."""

    def bundle(self, owner: ObjectRef, ref: SecretObjectReference) -> bytes:
        """Authorities in a Secret, a ConfigMap or a ClusterTrustBundle, PEM."""

    def revision(self, owner: ObjectRef) -> str:
        """Another one whenever what the owner says is another."""

    def module_url(self, name: str) -> str:
        """Where proxies get a Wasm module."""

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
    """A duration in Go's spelling; raises Fault for what is none or less than none."""
    if text is None:
        return None
    try:
        length = durations.parse(text)
    except ValueError:
        length = -1
    if length < 0:
        raise Fault(f"invalid {field} value {text}")
    return durations.show(length)


def positive_duration(field: str, text: str | None) -> str | None:
    """As `duration`, for what cannot be nothing either."""
    length = duration(field, text)
    if length == "0s":
        raise Fault(f"invalid {field} value {text}: it has to be more than nothing")
    return length


def header_name(field: str, name: str) -> str:
    """A header's name; raises Fault for what cannot be one, which would cost Envoy the whole listener."""
    if not _HEADER.fullmatch(name):
        raise Fault(f"invalid {field}: {name!r} is no name of a header")
    return name


def all_of(made: Iterable[Callable[[], T]]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """What could be made, and why the others could not."""
    found, faults = [], []
    for make in made:
        try:
            found.append(make())
        except Fault as e:
            faults.append(str(e))
    return tuple(found), tuple(faults)
