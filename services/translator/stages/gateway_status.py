"""A Gateway's own status: its conditions, its listeners with the routes attached, and where its fleet can be reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.frontend import frontend_faults
from services.translator.stages.gateways import ours, refusal
from services.translator.stages.judged import Judged, listeners_of
from services.translator.stages.listener_entries import condition, entry
from services.translator.stages.listener_set_status import accepted_sets
from services.translator.stages.listener_sets import sets_of
from services.translator.stages.proxies import effective, fleet_of
from services.translator.stages.statuses import gateway_id, part, rejections
from services.translator.stages.tables import FAILED, GATEWAYS, INFRA_STATUS, TROUBLED, XDS_STATUS
from services.translator.stages.telemetry import observability
from services.translator.stages.upstream_tls import gateway_client
from shared.api.gateway import Gateway
from shared.core.refs import ObjectRef
from shared.incremental import Db
from shared.ir.status import InfraStatus, StatusPart

_MOST_ADDRESSES = 16
_MOST_FAULTS = 10
EXTENSIONS_ANSWER = "ExtensionServersAvailable"


def gateway_status(db: Db, gateway: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    row = db.get(GATEWAYS, gateway)
    if row is None or not ours(db, gateway):
        return {}
    conditions = Conditions(row.metadata.generation)
    status: dict[str, Any] = {}
    refused = refusal(db, gateway)
    failed = db.get(FAILED, gateway)
    if refused is not None or failed is not None:
        reason, message = (refused.reason, refused.message) if refused is not None else ("Invalid", f"Translation failed: {failed}")
        conditions.set("Accepted", False, reason, message)
        conditions.set("Programmed", False, "Invalid", message)
    else:
        every = listeners_of(db, gateway)
        listeners = tuple(each for each in every if each.owner == gateway)
        _accepted(listeners, conditions)
        if (fault := observability(db, gateway).fault) is not None:
            conditions.set("Accepted", False, "InvalidParameters", fault)
        _references(db, gateway, row, conditions)
        addresses = _programmed(db, gateway, row, conditions)
        _extensions(db, gateway, conditions)
        if addresses:
            status["addresses"] = addresses
        status["listeners"] = [entry(db, each, row.metadata.generation) for each in listeners]
        if attached := accepted_sets(every, sets_of(db, gateway)):
            status["attachedListenerSets"] = attached
    status["conditions"] = plain(conditions.all())
    g = gateway_id(gateway)
    return {(gateway, g): part(gateway, g, row.metadata.generation, status)}


def _accepted(listeners: tuple[Judged, ...], conditions: Conditions) -> None:
    bad = sorted(each.spec.name for each in listeners if condition(each, "Accepted") != "True")
    if not bad:
        conditions.set("Accepted", True, "Accepted", "The Gateway has been scheduled by Envoy Gateway")
    elif len(bad) < len(listeners):
        conditions.set("Accepted", True, "ListenersNotValid", f"Listeners not valid: {', '.join(bad)}")
    else:
        conditions.set("Accepted", False, "ListenersNotValid", f"No listeners are valid: {', '.join(bad)}")


def _references(db: Db, gateway: ObjectRef, row: Gateway, conditions: Conditions) -> None:
    """The Gateway's own references: its EnvoyProxy and its client validation."""
    if (warning := effective(db, gateway).warning) is not None:
        conditions.set("ResolvedRefs", False, "InvalidParameters", warning)
    if row.spec.tls is None:
        return
    faults = frontend_faults(db, gateway, row)
    client = gateway_client(db, gateway)
    if client.reason is not None:
        conditions.set("ResolvedRefs", False, client.reason, client.message)
    elif faults:
        conditions.set("ResolvedRefs", False, "InvalidParameters", f"Failed to get default frontend CA certs for gateway: {faults[0]}")
    elif "ResolvedRefs" not in conditions:
        conditions.set("ResolvedRefs", True, "ResolvedRefs", "Successfully resolved all TLS references for the gateway")
    frontend = row.spec.tls.frontend
    modes = [] if frontend is None else [frontend.default.validation, *(p.tls.validation for p in frontend.per_port)]
    if any(v is not None and v.mode == "AllowInsecureFallback" for v in modes) and not faults:
        text = "Gateway is using AllowInsecureFallback frontend validation mode."
        conditions.set("InsecureFrontendValidationMode", True, "ConfigurationChanged", text)


def _programmed(db: Db, gateway: ObjectRef, row: Gateway, conditions: Conditions) -> list[dict[str, str]]:
    """Sets Programmed from what the fleet reports; returns the addresses to show."""
    found = db.get(INFRA_STATUS, fleet_of(db, gateway)) or InfraStatus()
    # what is asked for is shown until it is known what there is
    addresses = found.addresses or tuple(a.value for a in row.spec.addresses)
    if (rejected := rejections(db, fleet_of(db, gateway), gateway)) is not None:
        conditions.set("Programmed", False, "Invalid", f"Envoy rejected the configuration: {rejected}")
    elif any(a.type == "Hostname" for a in row.spec.addresses) or (row.spec.addresses and not found.addresses):
        conditions.set("Programmed", False, "AddressNotUsable", found.message or "One or more Gateway addresses cannot be used")
    elif not found.addresses:
        conditions.set("Programmed", False, "AddressNotAssigned", found.message or "No addresses have been assigned to the Gateway")
    elif not found.ready:
        conditions.set("Programmed", False, "NoResources", found.message or "Envoy replicas unavailable")
    else:
        text = f"Address assigned to the Gateway, {found.replicas}/{found.wanted or found.replicas} envoy replicas available"
        if len(addresses) > _MOST_ADDRESSES:
            text = f"Too many addresses ({len(addresses)}) have been assigned to the Gateway; only the first 16 are included in the status."
        conditions.set("Programmed", True, "Programmed", f"{text}; {found.message}" if found.message else text)
    return [{"type": _address_type(a), "value": a} for a in addresses[:_MOST_ADDRESSES]]


def _extensions(db: Db, gateway: ObjectRef, conditions: Conditions) -> None:
    """Which extension servers do not answer as they should, while they do not."""
    rows = [row for key in db.keys(TROUBLED, fleet_of(db, gateway)) if (row := db.get(XDS_STATUS, key)) is not None]
    every = ((name, report, fault) for row in rows for name, report in row.extensions.items() for fault in report.faults)
    texts = {f"extension {name} ({'unchanged' if report.fail_open else 'kept as it was'}): {fault}" for name, report, fault in every}
    if texts:
        conditions.set(EXTENSIONS_ANSWER, False, "ExtensionServerFailed", "; ".join(sorted(texts)[:_MOST_FAULTS]))


def _address_type(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "Hostname"
    return "IPAddress"
