"""Client certificates at HTTPS listeners, as a Gateway's spec.tls.frontend asks for them: by port, else the default."""

from __future__ import annotations

import base64

import msgspec

from services.translator.stages.grants import permitted
from services.translator.stages.pem import authorities
from services.translator.stages.tables import CONFIG_MAPS, SECRETS, core_ref, environment
from shared.api.gateway import GROUP, FrontendValidation, Gateway
from shared.core.refs import ObjectRef
from shared.incremental import Db, Pending, query
from shared.ir.tls import CaCertificate


class FrontendCa(msgspec.Struct, frozen=True):
    """The authorities that clients must prove to, or the listener's reason for having none."""

    ca: CaCertificate | None = None
    mode: str = "AllowValidOnly"
    reason: str | None = None
    message: str = ""
    pending: ObjectRef | None = None


class Bundle(msgspec.Struct, frozen=True):
    pem: bytes = b""
    fault: str = ""


@query
def bundle(db: Db, ref: ObjectRef) -> Bundle:
    """The usable authorities in one ConfigMap's or Secret's ca.crt. Raises Pending while it is not known."""
    env = environment(db)
    at = f"{ref.kind} {ref.namespace}/{ref.name}"
    if ref.kind == "ConfigMap":
        row = db.get(CONFIG_MAPS, ref)
        if row is None:
            return Bundle(fault=f"{at} not found")
        text = row.data.get("ca.crt") or (next(iter(row.data.values())) if len(row.data) == 1 else None)
        data = text.encode() if text else b""
    else:
        secret = db.get(SECRETS, ref)
        if secret is None:
            return Bundle(fault=f"{at} not found")
        try:
            data = env.opened(secret.data["ca.crt"]) if "ca.crt" in secret.data else b""
        except ValueError as e:
            return Bundle(fault=f"{at}: {e}")
    if not data:
        return Bundle(fault=f"no ca found in {at}")
    pem, faults = authorities(data, env.now())
    return Bundle(pem=pem) if pem else Bundle(fault=f"{at}: {'; '.join(faults)}")


def frontend_ca(db: Db, gateway: ObjectRef, row: Gateway, port: int) -> FrontendCa | None:
    """What one port's clients must present; None where nothing is asked of them."""
    tls = row.spec.tls.frontend if row.spec.tls is not None else None
    if tls is None:
        return None
    for each in tls.per_port:
        if each.port == port:
            return _resolve(db, gateway, str(port), each.tls.validation)
    return _resolve(db, gateway, "default", tls.default.validation)


def frontend_faults(db: Db, gateway: ObjectRef, row: Gateway) -> list[str]:
    """Everything wrong with the Gateway's own client validation, whether a listener uses it or not."""
    tls = row.spec.tls.frontend if row.spec.tls is not None else None
    if tls is None:
        return []
    found = [_resolve(db, gateway, "default", tls.default.validation)]
    found += [_resolve(db, gateway, str(p.port), p.tls.validation) for p in tls.per_port]
    return [f.message for f in found if f is not None and f.reason is not None]


def _resolve(db: Db, gateway: ObjectRef, suffix: str, validation: FrontendValidation | None) -> FrontendCa | None:
    if validation is None:
        return None
    good, faults = b"", []
    for ref in validation.ca_certificate_refs:
        target = core_ref(ref.kind, ref.namespace or gateway.namespace, ref.name)
        if ref.group or ref.kind not in ("ConfigMap", "Secret"):
            faults.append(("InvalidCACertificateKind", f"unsupported caCertificateRef kind {ref.group}/{ref.kind}"))
            continue
        if not permitted(db, GROUP, "Gateway", gateway.namespace, target):
            text = f"caCertificateRef to {target.kind} {target.namespace}/{target.name} not permitted by any ReferenceGrant"
            faults.append(("RefNotPermitted", text))
            continue
        try:
            one = bundle(db, target)
        except Pending:
            return FrontendCa(mode=validation.mode, pending=target)
        if one.pem:
            good += one.pem
        else:
            faults.append(("InvalidCACertificateRef", one.fault))
    if not good:
        reason, message = faults[0] if faults else ("NoValidCACertificate", "no valid CA certificate")
        return FrontendCa(mode=validation.mode, reason=reason, message=message)
    name = f"gateway/{gateway.namespace}/{gateway.name}/{suffix}/ca.crt"
    return FrontendCa(ca=CaCertificate(name=name, certificate=base64.b64encode(good).decode()), mode=validation.mode)
