"""Certificates and keys, checked before a proxy sees them: one bad pair must cost one listener, not a push."""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*?\n(.*?)-----END \1-----", re.DOTALL)
_KEYS = (b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY")


class Pair(msgspec.Struct, frozen=True):
    """A valid chain, written canonically, with the names that it serves and its key's algorithm."""

    chain: bytes
    dns_names: tuple[str, ...]
    common_name: str
    algorithm: str


def blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(label, DER) of each PEM block that can be decoded."""
    found = []
    for label, body in _BLOCK.findall(data):
        try:
            found.append((label, base64.b64decode(b"".join(body.split()), validate=True)))
        except binascii.Error:
            continue
    return found


def encode(label: bytes, der: bytes) -> bytes:
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return b"-----BEGIN " + label + b"-----\n" + lines.encode() + b"\n-----END " + label + b"-----\n"


def _certificate(der: bytes, now: float) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(der)
    at = datetime.fromtimestamp(now, UTC)
    name = _common_name(certificate)
    if at > certificate.not_valid_after_utc:
        raise ValueError(f"certificate {name} has expired since {certificate.not_valid_after_utc}")
    if at < certificate.not_valid_before_utc:
        raise ValueError(f"certificate {name} will be valid after {certificate.not_valid_before_utc}")
    return certificate


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))


def chain(data: bytes, now: float) -> tuple[bytes, x509.Certificate]:
    """A serving chain, whole or not at all; ValueError with the reason."""
    found = blocks(data)
    if not found:
        raise ValueError("unable to decode pem data for certificate" if data else "no certificate data provided")
    certificates = [_certificate(der, now) for _, der in found]
    return b"".join(encode(label, der) for label, der in found), certificates[0]


def authorities(data: bytes, now: float) -> tuple[bytes, list[str]]:
    """A CA bundle without what is malformed or expired, and what was wrong with that."""
    good, faults = b"", []
    for label, der in blocks(data):
        try:
            _certificate(der, now)
        except (ValueError, x509.InvalidVersion) as e:
            faults.append(str(e))
        else:
            good += encode(label, der)
    if not good and not faults:
        faults.append("unable to decode pem data for certificate")
    return good, faults


def split(data: bytes) -> tuple[bytes, ...]:
    """A bundle's members one by one, written canonically."""
    return tuple(encode(label, der) for label, der in blocks(data))


def revocation_fault(data: bytes, now: float) -> str | None:
    """Why a list of revoked certificates cannot be used; the first one of several is looked at."""
    found = blocks(data)
    if not found:
        return "unable to decode pem data for CRL"
    try:
        crl = x509.load_der_x509_crl(found[0][1])
    except ValueError as e:
        return f"failed to parse CRL: {e}"
    at = datetime.fromtimestamp(now, UTC)
    if crl.next_update_utc is not None and at > crl.next_update_utc:
        return f"CRL is expired (next update was due at {crl.next_update_utc})"
    return f"CRL is not yet valid (this update starts at {crl.last_update_utc})" if at < crl.last_update_utc else None


def _public(key: bytes) -> PublicKeyTypes:
    found = blocks(key)
    private = next((b for b in found if b[0] in _KEYS), found[0] if found else None)
    if private is None:
        raise ValueError("unable to decode pem data in tls.key")
    label, der = private
    if label not in _KEYS:
        raise ValueError(f"{label.decode()} key format found in tls.key, supported formats are PKCS1, PKCS8 or EC")
    try:
        return serialization.load_der_private_key(der, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"unable to parse {label.decode()} in tls.key") from None


def _raw(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pair(certificate: bytes, key: bytes, now: float) -> Pair:
    """A certificate chain and its key that belong together; ValueError with the reason. `now` is in seconds."""
    try:
        canonical, leaf = chain(certificate, now)
    except (ValueError, x509.InvalidVersion) as e:
        raise ValueError(f"must contain valid tls.crt and tls.key, unable to validate certificate in tls.crt: {e}") from None
    try:
        public = _public(key)
    except ValueError as e:
        raise ValueError(f"must contain valid tls.crt and tls.key, {e}") from None
    if _raw(public) != _raw(leaf.public_key()):
        raise ValueError("must contain a matching tls.crt and tls.key: private key does not match public key")
    return Pair(canonical, _dns_names(leaf), _common_name(leaf), type(leaf.public_key()).__name__)
