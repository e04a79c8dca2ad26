"""What a client's answers say of resources."""

from __future__ import annotations

from typing import NamedTuple

from services.xds_server.render.types import Need


class Accepted(NamedTuple):
    """The client has taken these resources, each with the content that its version names; `healed`: one of them it could not before."""

    resources: dict[Need, str]
    healed: bool = False


class Rejected(NamedTuple):
    """The client refused one resource with that content; `detail` is what it said."""

    need: Need
    content: str
    detail: str


class PutOff(NamedTuple):
    """The client could not take one resource now, by no fault of its content; it is offered again later."""

    need: Need
    content: str


Outcome = Accepted | Rejected | PutOff
