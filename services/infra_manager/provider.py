"""The infrastructure door: what `headgate.infrastructure` entry points lead to.

A provider renders purely (`render`: IR -> a plan of its own) and applies separately. It is made with the process's Settings.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Protocol

from shared.core.refs import GatewayRef
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.runtime.settings import Settings

GROUP = "headgate.infrastructure"


class CannotRender(ValueError):
    """This infrastructure cannot run what the IR asks for; the text becomes the fleet's message."""


class Infrastructure(Protocol):
    """Runs fleets of proxies. Nothing here may raise for one fleet's trouble: that is told by `observe`.

    What makes it may have `async beside(settings)`: work for every replica, whether it has the lease or stands by, until it is cancelled.
    """

    async def open(self) -> frozenset[GatewayRef]:
        """Takes over what runs from an earlier life; its Gateways."""

    def render(self, gateway: GatewayRef, infra: Infra) -> Any:
        """What to run, as a value that compares by content; pure. CannotRender."""

    async def apply(self, gateway: GatewayRef, plan: Any) -> None:
        """Makes it so, in the background; the latest plan wins."""

    async def remove(self, gateway: GatewayRef) -> None:
        """Drains and stops the fleet, in the background."""

    async def observe(self) -> tuple[GatewayRef, InfraStatus | None]:
        """The next change of a fleet's status; None once it is removed."""

    async def close(self) -> None:
        """Ends the supervision. The proxies keep running: whoever comes next takes them over."""


def find(name: str) -> Callable[[Settings], Infrastructure]:
    """What makes the provider registered under `name`; LookupError names those that are."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise LookupError(f"no infrastructure provider {name!r}; installed: {', '.join(sorted(found.names)) or 'none'}")
    make: Callable[[Settings], Infrastructure] = found[name].load()
    return make
