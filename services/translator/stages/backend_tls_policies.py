"""BackendTLSPolicies: which of them speaks for a backend's port, and what it asks of the server there."""

from __future__ import annotations

import msgspec

from services.translator.stages.gateways import age
from services.translator.stages.tables import BACKEND_TLS_POLICIES, POLICIES_BY_TARGET
from services.translator.stages.upstream_ca import authorities, system_authorities
from shared.api.policies import BackendTlsPolicy
from shared.core.refs import ObjectRef
from shared.incremental import Db, query
from shared.ir.tls import SubjectAltName, UpstreamTls


class Bundle(msgspec.Struct, frozen=True):
    """What a policy comes to. `reason` is that of ResolvedRefs, where there is a fault."""

    tls: UpstreamTls | None = None
    reason: str = ""
    message: str = ""


@query
def policies_of(db: Db, target: ObjectRef) -> tuple[ObjectRef, ...]:
    """The policies that name a backend, oldest first: the older one wins a conflict."""
    rows = [(ref, row) for ref in db.keys(POLICIES_BY_TARGET, target) if (row := db.get(BACKEND_TLS_POLICIES, ref)) is not None]
    return tuple(ref for ref, _ in sorted(rows, key=lambda each: age(each[0], each[1].metadata.creation_timestamp)))


def sections(row: BackendTlsPolicy, namespace: str, target: ObjectRef) -> list[str | None]:
    """The sections of a backend that a policy names; None is all of it."""
    return [t.section_name for t in row.spec.target_refs if ObjectRef(t.group, t.kind, namespace, t.name) == target]


@query
def policy_for(db: Db, target: ObjectRef, section: str | None) -> ObjectRef | None:
    """The policy of one port: one that names this section goes before one that names the whole backend."""
    rows = [(ref, sections(row, ref.namespace, target)) for ref in policies_of(db, target) if (row := db.get(BACKEND_TLS_POLICIES, ref))]
    wanted: list[str | None] = [section, None] if section is not None else [None]
    return next((ref for each in wanted for ref, named in rows if each in named), None)


@query
def bundle(db: Db, policy: ObjectRef) -> Bundle:
    """What one policy asks of servers. Raises Pending while an authority is not known."""
    row = db.get(BACKEND_TLS_POLICIES, policy)
    assert row is not None
    spec = row.spec.validation
    tls = UpstreamTls(
        sni=spec.hostname,
        subject_alt_names=tuple(
            SubjectAltName(hostname=san.hostname if san.type == "Hostname" else None, uri=san.uri if san.type == "URI" else None)
            for san in spec.subject_alt_names
            if san.type in ("Hostname", "URI")
        ),
    )
    name = f"{policy.name}/{policy.namespace}-ca"
    if spec.well_known_ca_certificates == "System":
        return Bundle(msgspec.structs.replace(tls, use_system_trust_store=True, ca_certificate=system_authorities(db, name)))
    found = authorities(db, spec.ca_certificate_refs, policy.namespace, name)
    if found.ca is None:
        message = found.fault if found.fault is not None else "no valid CA certificate found in referenced resources"
        return Bundle(reason="InvalidKind" if found.unsupported else "InvalidCACertificateRef", message=message)
    return Bundle(msgspec.structs.replace(tls, ca_certificate=found.ca))


@query
def vouched_for(db: Db, backend: ObjectRef, ports: tuple[int, ...]) -> bool:
    """Whether policies name authorities for a Backend, which then need not name its own: for all of it, or for each of its ports."""
    covered: set[str | None] = set()
    for ref in policies_of(db, backend):
        row = db.get(BACKEND_TLS_POLICIES, ref)
        assert row is not None
        has_authorities = row.spec.validation.ca_certificate_refs or row.spec.validation.well_known_ca_certificates
        covered.update(each for each in sections(row, ref.namespace, backend) if each is not None or has_authorities)
    return None in covered or (bool(ports) and all(str(port) in covered for port in ports))


@query
def conflict_of(db: Db, policy: ObjectRef) -> ObjectRef | None:
    """The older policy that already speaks for one of this policy's targets."""
    row = db.get(BACKEND_TLS_POLICIES, policy)
    for t in row.spec.target_refs if row is not None else ():
        target = ObjectRef(t.group, t.kind, policy.namespace, t.name)
        for other in policies_of(db, target):
            if other == policy:
                break
            theirs = db.get(BACKEND_TLS_POLICIES, other)
            if theirs is not None and t.section_name in sections(theirs, other.namespace, target):
                return other
    return None
