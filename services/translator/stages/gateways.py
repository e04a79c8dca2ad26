"""Which classes and Gateways are ours, which of them can be served, and which fleet serves them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.translator.stages.proxies import class_proxy, effective, fleet_of
from services.translator.stages.tables import CLASSES, GATEWAYS, class_ref, settings
from shared.api.gateway import Gateway
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db, query

Age = tuple[str, str, str]


class Refusal(msgspec.Struct, frozen=True):
    """Why a whole Gateway is not accepted."""

    reason: str
    message: str


def age(ref: ObjectRef, created: str) -> Age:
    """Sorts the older object first, then by name: how every tie between objects is broken."""
    return (created, ref.namespace, ref.name)


@query
def our_class(db: Db, name: str) -> bool:
    row = db.get(CLASSES, class_ref(name))
    return row is not None and row.spec.controller_name == settings(db).controller_name


@query
def ours(db: Db, gateway: ObjectRef) -> bool:
    """Whether the Gateway is of a class of ours."""
    row = db.get(GATEWAYS, gateway)
    return row is not None and our_class(db, row.spec.gateway_class_name)


@query
def refusal(db: Db, gateway: ObjectRef) -> Refusal | None:
    """Why a Gateway of ours cannot be served; its fleet is kept, without listeners."""
    row = db.get(GATEWAYS, gateway)
    assert row is not None
    problem = class_proxy(db, row.spec.gateway_class_name).problem or effective(db, gateway).problem
    if problem is not None:
        return Refusal("InvalidParameters", f"Invalid parametersRef: {problem}")
    for address in row.spec.addresses:
        if address.type not in ("IPAddress", "Hostname"):
            return Refusal("UnsupportedAddress", f"Gateway has an address with an unsupported type: {address.type}")
    return None


@query
def served(db: Db, gateway: ObjectRef) -> bool:
    """Whether routes can attach to the Gateway. Routes read this and never the Gateway itself, which changes more often."""
    return ours(db, gateway) and refusal(db, gateway) is None


def _fleets(db: Db, gateway: ObjectRef) -> Mapping[GatewayRef, bool]:
    return {fleet_of(db, gateway): True} if ours(db, gateway) else {}


FLEETS: Collection[GatewayRef, bool] = Collection("fleets", source=GATEWAYS, fn=_fleets)
"""Every fleet to run, by the Gateways that it serves."""


@query
def members(db: Db, fleet: GatewayRef) -> tuple[ObjectRef, ...]:
    """The Gateways of a fleet, oldest first."""
    return tuple(sorted(db.group(FLEETS, fleet), key=lambda ref: age(ref, gateway_row(db, ref).metadata.creation_timestamp)))


def gateway_row(db: Db, ref: ObjectRef) -> Gateway:
    row = db.get(GATEWAYS, ref)
    assert row is not None, f"{ref} is a member of a fleet"
    return row
