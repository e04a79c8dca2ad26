"""Listeners, one by one: what each asks for, whether that is well formed, and which routes it could take."""

from __future__ import annotations

import msgspec

from services.translator.stages.certificates import PARTIAL, Certificates, certificates
from services.translator.stages.conditions import Conditions
from services.translator.stages.frontend import FrontendCa, frontend_ca
from services.translator.stages.gateways import gateway_row
from services.translator.stages.grants import selector_fault
from services.translator.stages.listener_sets import set_row, sets_of
from shared.api.gateway import GROUP, Gateway, Listener, ListenerSet, RouteGroupKind
from shared.core.refs import ObjectRef
from shared.features.parts.hostname import is_subdomain
from shared.incremental import Db, query
from shared.ir.status import Condition

PROGRAMMED, ACCEPTED, RESOLVED_REFS, CONFLICTED = "Programmed", "Accepted", "ResolvedRefs", "Conflicted"
ROUTE_KINDS = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TCPRoute", "TLSRoute"),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}


class Checked(msgspec.Struct, frozen=True):
    """One listener after the checks that need no other listener. `owner`: the Gateway, or the ListenerSet that adds to it."""

    gateway: ObjectRef
    owner: ObjectRef
    generation: int
    spec: Listener
    conditions: tuple[Condition, ...]
    supported_kinds: tuple[RouteGroupKind, ...]
    valid: bool
    certificates: Certificates
    frontend: FrontendCa | None = None


@query
def checked(db: Db, gateway: ObjectRef) -> tuple[Checked, ...]:
    """A Gateway's listeners in the order in which they are written, then those of its ListenerSets, the oldest first."""
    row = gateway_row(db, gateway)
    owners: list[tuple[ObjectRef, Gateway | ListenerSet]] = [(gateway, row), *((ref, set_row(db, ref)) for ref in sets_of(db, gateway))]
    return tuple(
        _check(db, gateway, row, owner, own.metadata.generation, listener) for owner, own in owners for listener in own.spec.listeners
    )


def _check(db: Db, gateway: ObjectRef, row: Gateway, owner: ObjectRef, generation: int, listener: Listener) -> Checked:
    conditions = Conditions(generation)
    if listener.name and not is_subdomain(listener.name):
        text = f"The listener's name {listener.name!r} must be a lowercase RFC 1123 subdomain."
        conditions.set(PROGRAMMED, False, "Invalid", text)
    _namespaces(listener, conditions)
    kinds = _kinds(listener, conditions)
    found = Certificates()
    if listener.protocol in ("HTTPS", "TLS"):
        found = _tls(db, owner, listener, conditions)
    elif listener.tls is not None and listener.protocol in ROUTE_KINDS:
        conditions.set(PROGRAMMED, False, "Invalid", f"Listener must not have TLS set when protocol is {listener.protocol}.")
    frontend = frontend_ca(db, gateway, row, listener.port) if listener.protocol == "HTTPS" else None
    if frontend is not None and frontend.reason is not None:
        text = f"Listener has invalid caCertificateRef for frontend TLS validation: {frontend.message}"
        conditions.set(RESOLVED_REFS, False, frontend.reason, text)
        conditions.set(PROGRAMMED, False, frontend.reason, text)
        conditions.set(ACCEPTED, False, "NoValidCACertificate", text)
    if listener.protocol in ("UDP", "TCP") and listener.hostname is not None:
        conditions.set(PROGRAMMED, False, "Invalid", f"Listener must not have hostname set when protocol is {listener.protocol}.")
    only_partial = len(conditions) == 1 and conditions.reason(RESOLVED_REFS) == PARTIAL
    return Checked(gateway, owner, generation, listener, conditions.all(), kinds, len(conditions) == 0 or only_partial, found, frontend)


def _namespaces(listener: Listener, conditions: Conditions) -> None:
    spec = listener.allowed_routes.namespaces
    if spec.from_ != "Selector":
        return
    where = "The allowedRoutes.namespaces.selector"
    if spec.selector is None:
        text = f'{where} field must be specified when allowedRoutes.namespaces.from is set to "Selector".'
        conditions.set(PROGRAMMED, False, "Invalid", text)
    elif fault := selector_fault(spec.selector):
        conditions.set(PROGRAMMED, False, "Invalid", f"{where} could not be parsed: {fault}.")


def _kinds(listener: Listener, conditions: Conditions) -> tuple[RouteGroupKind, ...]:
    possible = ROUTE_KINDS.get(listener.protocol)
    if possible is None:
        text = f"Protocol {listener.protocol} is unsupported, must be HTTP, HTTPS, TCP or UDP."
        conditions.set(ACCEPTED, False, "UnsupportedProtocol", text)
        return ()
    if listener.protocol == "TLS" and listener.tls is not None and listener.tls.mode == "Passthrough":
        possible = ("TLSRoute",)
    if not listener.allowed_routes.kinds:
        return tuple(RouteGroupKind(kind=k, group=GROUP) for k in possible)
    supported, unsupported = [], []
    for kind in listener.allowed_routes.kinds:
        if kind.group is not None and kind.group != GROUP:
            conditions.set(RESOLVED_REFS, False, "InvalidRouteKinds", f"Group is not supported, group must be {GROUP}")
        elif kind.kind in possible:
            supported.append(kind)
        else:
            unsupported.append(kind)
    for kind in unsupported:
        allowed = ", ".join(k.kind for k in supported) or ", ".join(possible)
        conditions.set(RESOLVED_REFS, False, "InvalidRouteKinds", f"{kind.kind} is not supported, kind must be one of {allowed}")
    return tuple(supported)


def _tls(db: Db, owner: ObjectRef, listener: Listener, conditions: Conditions) -> Certificates:
    tls = listener.tls
    if tls is None:
        conditions.set(PROGRAMMED, False, "Invalid", f"Listener must have TLS set when protocol is {listener.protocol}.")
        return Certificates()
    if listener.protocol == "TLS" and tls.mode == "Passthrough":
        if tls.certificate_refs:
            text = "Listener must not have TLS certificate refs set for TLS mode Passthrough."
            conditions.set(PROGRAMMED, False, "Invalid", text)
        return Certificates()
    if tls.mode not in (None, "Terminate"):
        text = f"TLS {tls.mode} mode is not supported, TLS mode must be Terminate."
        conditions.set(PROGRAMMED, False, "UnsupportedTLSMode", text)
        return Certificates()
    if listener.protocol == "TLS" and tls.mode is None:
        return Certificates()
    if not tls.certificate_refs:
        conditions.set(PROGRAMMED, False, "Invalid", "Listener must have at least 1 TLS certificate ref")
        return Certificates()
    found = certificates(db, owner.namespace, tls.certificate_refs, owner.kind)
    if found.reason is not None:
        conditions.set(RESOLVED_REFS, False, found.reason, found.message)
    return found
