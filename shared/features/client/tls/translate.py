"""TLS of a listener: what its policy says goes over what its certificates and its Gateway say.

What is right is taken although something else is wrong; the listener's routes are refused in that case, not its handshakes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from shared.api.gateway import SecretObjectReference
from shared.features.client.tls.spec import ClientTlsSpec, ClientValidationSpec, CrlSpec, SubjectAltNamesSpec
from shared.features.parts.faults import Faults
from shared.features.parts.regex import regex_fault
from shared.features.parts.string_match import StringMatchSpec, string_match
from shared.ir.match import StringMatch
from shared.ir.tls import CaCertificate, Crl, ListenerTls

LEAST, MOST = "1.2", "1.3"
# key exchange, authentication, cipher: in OpenSSL's names and in IANA's
CIPHERS = frozenset(
    name
    for exchange, iana in (("ECDHE-ECDSA-", "ECDHE_ECDSA"), ("ECDHE-RSA-", "ECDHE_RSA"), ("", "RSA"))
    for openssl, of in (
        ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
        ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
        ("AES128-SHA", "AES_128_CBC_SHA"),
        ("AES256-SHA", "AES_256_CBC_SHA"),
        *((("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),) if exchange else ()),
    )
    for name in (f"{exchange}{openssl}", f"TLS_{iana}_WITH_{of}")
)
_ACCEPTS_ANY = ("Request", "RequireAny")
_REQUIRED = ("RequireAny", "RequireAndVerify")


class Lookup(NamedTuple):
    """What the policy's references lead to; each raises ValueError with the reason where that cannot be used.

    `authorities`: PEM certificates one by one; `revoked`: a PEM list of revoked certificates.
    """

    authorities: Callable[[SecretObjectReference], tuple[bytes, ...]]
    revoked: Callable[[SecretObjectReference], bytes]


def translate(spec: ClientTlsSpec | None, before: ListenerTls | None, name: str, lookup: Lookup, faults: Faults) -> ListenerTls | None:
    """`name` is the policy's, `<namespace>/<name>`. None where the listener ends no TLS: then nothing is looked at."""
    if before is None:
        return None
    if spec is None:
        return replace(before, min_version=LEAST, max_version=MOST)
    here = faults.inside("TLS")
    tls = replace(
        before,
        alpn_protocols=before.alpn_protocols if spec.alpn_protocols is None else spec.alpn_protocols,
        min_version=spec.min_version or LEAST,
        max_version=spec.max_version or MOST,
    )
    unknown = [c for c in spec.ciphers if c not in CIPHERS]
    if unknown:
        here.add(f"unsupported cipher suite: {unknown[0]}")
        return tls
    resumption = spec.session.resumption if spec.session is not None else None
    tls = replace(
        tls,
        ciphers=spec.ciphers or before.ciphers,
        ecdh_curves=spec.ecdh_curves or before.ecdh_curves,
        signature_algorithms=spec.signature_algorithms or before.signature_algorithms,
        fingerprints=spec.fingerprints,
        stateless_session_resumption=resumption is not None and resumption.stateless is not None,
        stateful_session_resumption=resumption is not None and resumption.stateful is not None,
    )
    return _validated(spec.client_validation, tls, name, lookup, here) if spec.client_validation is not None else tls


def _validated(spec: ClientValidationSpec, before: ListenerTls, name: str, lookup: Lookup, faults: Faults) -> ListenerTls:
    mode = spec.mode or ("VerifyIfGiven" if spec.optional else "RequireAndVerify")
    tls = replace(
        before, client_validation_enabled=True, require_client_certificate=mode in _REQUIRED, accept_untrusted=mode in _ACCEPTS_ANY
    )
    found: dict[bytes, None] = {}
    for ref in spec.ca_certificate_refs:
        try:
            found |= dict.fromkeys(lookup.authorities(ref))
        except ValueError as e:
            faults.add(f"failed to get certificate from ref: {e}")
            return tls
    if not found and mode not in _ACCEPTS_ANY:
        asked = f"mode {mode!r}" if spec.mode is not None or not spec.optional else f"optional=true (mode {mode!r})"
        faults.add(f"tls.clientValidation.{asked} requires caCertificateRefs")
        return tls
    if found:
        tls = replace(tls, ca_certificate=CaCertificate(name=f"{name}/ca.crt", certificate=_base64(b"".join(found))))
    tls = replace(
        tls,
        verify_certificate_spki=before.verify_certificate_spki + spec.spki_hashes,
        verify_certificate_hash=before.verify_certificate_hash + spec.certificate_hashes,
        allow_expired_certificate=before.allow_expired_certificate or spec.allow_expired_certificate,
        match_typed_subject_alt_names=before.match_typed_subject_alt_names + _names(spec.subject_alt_names, faults),
    )
    return replace(tls, crl=_crl(spec.crl, name, lookup, faults)) if spec.crl is not None else tls


def _names(spec: SubjectAltNamesSpec | None, faults: Faults) -> tuple[StringMatch, ...]:
    if spec is None:
        return ()
    typed: list[tuple[str, StringMatchSpec]] = [
        *(("DNS", m) for m in spec.dns_names),
        *(("EMAIL", m) for m in spec.email_addresses),
        *(("IP_ADDRESS", m) for m in spec.ip_addresses),
        *(("URI", m) for m in spec.uris),
        *((m.oid, m) for m in spec.other_names),
    ]
    for _, match in typed:
        if match.type == "RegularExpression" and (fault := regex_fault(match.value)) is not None:
            faults.add(f"subjectAltNames: {fault}")
    return tuple(string_match(match, kind) for kind, match in typed)


def _crl(spec: CrlSpec, name: str, lookup: Lookup, faults: Faults) -> Crl | None:
    data = b""
    for ref in spec.refs:
        try:
            data += lookup.revoked(ref)
        except ValueError as e:
            faults.add(f"failed to get crl from ref: {e}")
            return None
    return Crl(name=f"{name}/ca.crl", data=_base64(data), only_verify_leaf_certificate=spec.only_verify_leaf_certificate) if data else None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
