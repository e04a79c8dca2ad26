"""A certificate authority for tests: issues and revokes."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(of: x509.Certificate | x509.CertificateRevocationList) -> str:
    return of.public_bytes(serialization.Encoding.PEM).decode()


class Authority:
    """`issue` gives a certificate and key in PEM; `revoked` the list of those revoked so far."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._now = datetime.now(UTC)
        self._revoked: list[int] = []
        self.certificate = (
            self._builder(name, self._key, name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _DAY)
            .not_valid_after(self._now + _DAY)
        )

    def issue(self, host: str, *addresses: str) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        certificate = (
            self._builder(host, key, str(issuer))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host), *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses)]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        return pem(certificate), key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    def revoke(self, certificate: str) -> None:
        self._revoked.append(x509.load_pem_x509_certificate(certificate.encode()).serial_number)

    def revoked(self) -> str:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(self._now - _DAY).next_update(self._now + _DAY)
        for serial in self._revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self._now - _DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return pem(builder.sign(self._key, hashes.SHA256()))

    def client(self, folder: Path, pair: tuple[str, str] | None = None, **versions: ssl.TLSVersion) -> ssl.SSLContext:
        """A client that trusts this authority, and shows a certificate if it has one."""
        context = ssl.create_default_context(cadata=pem(self.certificate))
        for field, version in versions.items():
            setattr(context, field, version)
        if pair is not None:
            (folder / "client.crt").write_text(pair[0])
            (folder / "client.key").write_text(pair[1])
            context.load_cert_chain(folder / "client.crt", folder / "client.key")
        return context
