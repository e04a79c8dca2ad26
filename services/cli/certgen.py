"""`headgate certgen`: the keys that Headgate's parts prove themselves with, made once and kept.

    ca.crt                     the authority, in each folder too; its key is thrown away
    envoy-gateway/             the control plane (xds_server's certificate; what services show to NATS)
    envoy/                     every proxy of ours
    envoy-ratelimit/           the rate limit service
    nats/                      nats-server
    envoy-oidc-hmac/hmac-secret
    bus/key                    seals secret values on the bus

The folder and file names of the certificates are Envoy Gateway's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.core.sealing import encode_key, new_key

SEALING_KEY = "bus/key"
"""Path of the key for secret values, below the folder of `generate`."""
LIFETIME = timedelta(days=365 * 5)
RENEW_BEFORE = timedelta(days=30)
NAMESPACE = "envoy-gateway-system"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Part(NamedTuple):
    """Whom a certificate speaks for. `hosts`: DNS names and IP addresses; `{ns}` is the control plane's namespace, `{dns}` its domain."""

    folder: str
    common_name: str
    hosts: tuple[str, ...]


_SERVICE = ("", ".{ns}", ".{ns}.svc", ".{ns}.svc.{dns}")

PARTS = (
    Part(
        "envoy-gateway", "envoy-gateway", ("envoy-gateway", "envoy-gateway.{ns}", "envoy-gateway.{ns}.svc", "envoy-gateway.{ns}.svc.{dns}")
    ),
    Part("envoy", "*", ("*.{ns}",)),
    Part("envoy-ratelimit", "*", ("*.{ns}",)),
    Part("nats", "nats", tuple("nats" + tail for tail in _SERVICE)),
)


class Pair(NamedTuple):
    """PEM."""

    certificate: bytes
    key: bytes


def certificates(
    parts: Iterable[Part] = PARTS,
    *,
    namespace: str = NAMESPACE,
    dns_domain: str = "cluster.local",
    hosts: Iterable[str] = LOOPBACK,
    now: datetime | None = None,
) -> tuple[bytes, dict[str, Pair]]:
    """A new authority (its certificate) and one pair for each part's folder. `hosts` are added to every certificate."""
    now = now or datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "envoy-gateway")])
    ca = (
        _builder(name, name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = {p.folder: tuple(h.format(ns=namespace, dns=dns_domain) for h in p.hosts) + tuple(hosts) for p in parts}
    return _pem(ca), {p.folder: _pair(p.common_name, names[p.folder], ca, ca_key, now) for p in parts}


def generate(folder: Path, *, hosts: Iterable[str] = (), overwrite: bool = False, now: datetime | None = None) -> list[Path]:
    """Writes what is missing into `folder` and returns the files written, [] when all was there and will last.

    Certificates are one set, made again together when one is missing, does not name one of `hosts`, or ends within a month. Keys of the
    bus and of OIDC cookies are never replaced unless `overwrite`: what they sealed would be lost.
    """
    now = now or datetime.now(UTC)
    hosts = (*LOOPBACK, *hosts)
    written: list[Path] = []
    if overwrite or not all(_lasts(folder / p.folder / "tls.crt", hosts, now) for p in PARTS):
        ca, pairs = certificates(hosts=hosts, now=now)
        written += _write(folder, {"ca.crt": ca}, 0o644)
        for part, pair in pairs.items():
            written += _write(folder / part, {"ca.crt": ca, "tls.crt": pair.certificate}, 0o644)
            written += _write(folder / part, {"tls.key": pair.key}, 0o600)
    once = {"envoy-oidc-hmac/hmac-secret": secrets.token_bytes(32), SEALING_KEY: encode_key(new_key()).encode()}
    missing = {name: content for name, content in once.items() if overwrite or not (folder / name).exists()}
    return written + _write(folder, missing, 0o600)


def _pair(common_name: str, hosts: tuple[str, ...], ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]), ca.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(h) for h in dict.fromkeys(hosts)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return Pair(_pem(certificate), key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _lasts(path: Path, hosts: Iterable[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    whole = path.with_name("tls.key").exists() and path.with_name("ca.crt").exists()
    return whole and all(_general_name(h) in list(names) for h in hosts) and certificate.not_valid_after_utc > now + RENEW_BEFORE


def _write(folder: Path, files: Mapping[str, bytes], mode: int) -> list[Path]:
    """Whole files only: written beside and moved into place."""
    paths: list[Path] = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
            f.write(content)
        draft.replace(path)
        paths.append(path)
    return paths
