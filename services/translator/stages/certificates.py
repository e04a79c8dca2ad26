"""A listener's certificates: which of its references resolve to a usable pair, and what to say about the others."""

from __future__ import annotations

import base64

import msgspec

from services.translator.stages.grants import permitted
from services.translator.stages.pem import Pair, pair
from services.translator.stages.sds import SDS_TYPE, sds
from services.translator.stages.tables import LATE, SECRETS, core_ref, environment
from shared.api.core import Secret
from shared.api.gateway import GROUP, SecretObjectReference
from shared.core.refs import ObjectRef
from shared.incremental import Db, Pending, query
from shared.ir.tls import TlsCertificate

INVALID = "InvalidCertificateRef"
PARTIAL = "PartiallyInvalidCertificateRef"
NOT_PERMITTED = "RefNotPermitted"


class Certificates(msgspec.Struct, frozen=True):
    """`pending`: a Secret that nobody has answered for yet; `late` where that takes too long to keep silent about.

    `opaque`: some stand at another server, so nobody here knows for which names they are.
    """

    certificates: tuple[TlsCertificate, ...] = ()
    dns_names: tuple[str, ...] = ()
    reason: str | None = None
    message: str = ""
    pending: ObjectRef | None = None
    late: bool = False

    @property
    def opaque(self) -> bool:
        return any(c.sds is not None for c in self.certificates)


class Opened(msgspec.Struct, frozen=True):
    """One Secret as a certificate (with its pair, unless that stands at another server), or why it is none."""

    pair: Pair | None = None
    fault: str = ""
    certificate: TlsCertificate | None = None


@query
def opened(db: Db, ref: ObjectRef) -> Opened:
    """Opens and checks one kubernetes.io/tls Secret. Raises Pending while it is not known."""
    at = f"{ref.namespace}/{ref.name}"
    secret = db.get(SECRETS, ref)
    if secret is None:
        return Opened(fault=f"Secret {at} does not exist.")
    if secret.type == SDS_TYPE:
        try:
            return Opened(certificate=TlsCertificate(name=at, sds=sds(db, ref, secret)))
        except ValueError as e:
            return Opened(fault=f"{e}.")
    if secret.type != "kubernetes.io/tls":
        return Opened(fault=f"Secret {at} must be of type kubernetes.io/tls.")
    if not secret.data.get("tls.crt") or not secret.data.get("tls.key"):
        return Opened(fault=f"Secret {at} must contain tls.crt and tls.key.")
    return _checked(db, at, secret)


def _checked(db: Db, at: str, secret: Secret) -> Opened:
    env = environment(db)
    staple = secret.data.get("tls.ocsp-staple")
    try:
        good = pair(env.opened(secret.data["tls.crt"]), env.opened(secret.data["tls.key"]), env.now())
        stapled = base64.b64encode(env.opened(staple)).decode() if staple else ""
    except ValueError as e:
        return Opened(fault=f"{at} {e}")
    certificate = TlsCertificate(
        name=at,
        certificate=base64.b64encode(good.chain).decode(),
        private_key=secret.data["tls.key"],
        ocsp_staple=stapled,
    )
    return Opened(pair=good, certificate=certificate)


def certificates(db: Db, namespace: str, refs: tuple[SecretObjectReference, ...], kind: str = "Gateway") -> Certificates:
    """The certificates of a listener in `namespace`; two may not serve one name with one algorithm."""
    faults: list[tuple[str, str]] = []
    good: list[TlsCertificate] = []
    names: list[str] = []
    seen: set[tuple[str, str]] = set()
    pending: ObjectRef | None = None
    for i, ref in enumerate(refs):
        target = core_ref("Secret", ref.namespace or namespace, ref.name)
        if ref.group or ref.kind != "Secret":
            what = "group must be unspecified/empty" if ref.group else "kind must be Secret"
            faults.append((INVALID, f"certificate refs {i}: Listener's TLS certificate ref {what}."))
            continue
        if not permitted(db, GROUP, kind, namespace, target):
            text = f"Certificate ref to secret {target.namespace}/{target.name} not permitted by any ReferenceGrant."
            faults.append((NOT_PERMITTED, f"certificate refs {i}: {text}"))
            continue
        try:
            one = opened(db, target)
        except Pending:
            pending = pending or target
            continue
        if one.certificate is None:
            faults.append((INVALID, f"certificate refs {i}: {one.fault}"))
            continue
        if one.pair is None:
            # its names are not known, so only a repetition can be seen
            good += [one.certificate] if one.certificate not in good else []
            continue
        domains = {(one.pair.algorithm, d) for d in one.pair.dns_names or ((one.pair.common_name,) if one.pair.common_name else ())}
        if clash := sorted(seen & domains):
            text = f"public key algorithm must be unique, certificate domain {clash[0][1]} has a conflicting algorithm [{clash[0][0]}]"
            faults.append((INVALID, f"certificate refs {i}: {target.namespace}/{target.name} {text}"))
            continue
        seen |= domains
        good.append(one.certificate)
        names += one.pair.dns_names
    late = pending is not None and db.get(LATE, pending) is not None
    reason, message = _verdict(good, faults)
    return Certificates(tuple(good), tuple(names), reason, message, pending, late)


def _verdict(good: list[TlsCertificate], faults: list[tuple[str, str]]) -> tuple[str | None, str]:
    if not faults:
        return None, ""
    texts = "\n".join(text for _, text in faults)
    if good:
        return PARTIAL, f"Some secrets are invalid: {texts}"
    all_grants = all(reason == NOT_PERMITTED for reason, _ in faults)
    return NOT_PERMITTED if all_grants else INVALID, f"No valid secrets exist: {texts}"
