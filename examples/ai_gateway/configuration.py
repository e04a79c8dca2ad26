"""The AI gateway's configuration file. An unknown or wrong field stops the start and is named."""

from __future__ import annotations

from pathlib import Path

import msgspec

from examples.ai_gateway.selection import Selector


class BadConfiguration(ValueError):
    """Which field, and what is wrong with it."""


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class Folder(Part, frozen=True):
    """`path` is what Headgate watches: what is made goes there, too. `status`: where statuses are written, as Headgate lays them out."""

    path: str
    status: str = ".headgate/status"


class Processor(Part, frozen=True):
    """`address`: where Envoys find it."""

    listen: str = "127.0.0.1:5006"
    address: str = "127.0.0.1:5006"


class Configuration(Part, frozen=True):
    """Objects come from `folder`, or without one from the Kubernetes API. `extension` and `metrics` are addresses to listen on."""

    folder: Folder | None = None
    extension: str = "127.0.0.1:5005"
    processor: Processor = Processor()
    metrics: str = "127.0.0.1:5007"
    selector: Selector = Selector()


def load(path: Path) -> Configuration:
    """Raises BadConfiguration."""
    try:
        found = msgspec.yaml.decode(path.read_bytes(), type=Configuration)
    except (OSError, msgspec.DecodeError) as e:
        raise BadConfiguration(f"{path}: {e}") from None
    host, _, port = found.processor.address.rpartition(":")
    if not host or not port.isdigit():
        raise BadConfiguration(f"{path}: processor.address: expected host:port, got {found.processor.address!r}")
    for each in (found.selector.namespace_selector, found.selector.labels):
        for one in each.match_expressions if each is not None else ():
            try:
                one.fits({})
            except ValueError as e:
                raise BadConfiguration(f"{path}: selector: {e}") from None
    return found
