"""A trust domain's authority, for where there is no SPIRE: X.509-SVIDs as SPIFFE describes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(minutes=1)


class Svid(NamedTuple):
    """PEM."""

    certificate: str
    key: str


class Authority:
    def __init__(self, trust_domain: str) -> None:
        self._domain = trust_domain
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = _usage(signs_certificates=True)
        self._certificate = self._signed(self._key.public_key(), "", (), timedelta(days=1), x509.BasicConstraints(True, None), usage)

    @property
    def bundle(self) -> str:
        """The authorities of the trust domain, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, workload: str, lifetime: timedelta, *hosts: str) -> Svid:
        """For spiffe://<trust domain>/<workload>; `hosts` are names that it has besides."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = _usage(signs_certificates=False)
        made = self._signed(key.public_key(), f"/{workload}", hosts, lifetime, x509.BasicConstraints(False, None), usage)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Svid(made.public_bytes(serialization.Encoding.PEM).decode(), private.decode())

    def _signed(
        self,
        key: ec.EllipticCurvePublicKey,
        path: str,
        hosts: tuple[str, ...],
        lifetime: timedelta,
        constraints: x509.BasicConstraints,
        usage: x509.KeyUsage,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, self._domain)])
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{self._domain}{path}")])
        names = [x509.UniformResourceIdentifier(f"spiffe://{self._domain}{path}"), *(x509.DNSName(h) for h in hosts)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + lifetime)
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if path:
            purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
