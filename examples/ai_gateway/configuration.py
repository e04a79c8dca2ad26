"""The AI gateway's configuration file. An unknown or wrong field stops the start and is named."""

from __future__ import annotations

from pathlib import Path

import msgspec

from examples.ai_gateway.selection import Selector

_SHORTEST = 32


class BadConfiguration(ValueError):
    """Which field, and what is wrong with it."""


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class Folder(Part, frozen=True):
    """`path` is what Headgate watches: what is made goes there, too. `status`: where statuses are written, as Headgate lays them out."""

    path: str
    status: str = ".headgate/status"


class Processor(Part, frozen=True):
    """`address`: where Envoys find it.

    `signingKeyFile`: holds any text of at least 32 characters, the same for all replicas. Without it, whoever reaches the processor can ask
    it for the keys of backends: for loopback alone.
    """

    listen: str = "127.0.0.1:5006"
    address: str = "127.0.0.1:5006"
    signing_key_file: str | None = None

    @property
    def signing(self) -> bytes:
        """The key; b'' where there is none. Raises BadConfiguration."""
        if self.signing_key_file is None:
            return b""
        try:
            found = Path(self.signing_key_file).read_bytes().strip()
        except OSError as e:
            raise BadConfiguration(f"processor.signingKeyFile: {e}") from None
        if len(found) < _SHORTEST:
            raise BadConfiguration(f"processor.signingKeyFile: expected at least {_SHORTEST} characters, got {len(found)}")
        return found


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
    listens, _, _ = found.processor.listen.rpartition(":")
    if not found.processor.signing and listens not in ("127.0.0.1", "localhost", "[::1]"):
        raise BadConfiguration(f"{path}: processor.signingKeyFile: expected, because the processor listens beyond loopback")
    for each in (found.selector.namespace_selector, found.selector.labels):
        for one in each.match_expressions if each is not None else ():
            try:
                one.fits({})
            except ValueError as e:
                raise BadConfiguration(f"{path}: selector: {e}") from None
    return found
