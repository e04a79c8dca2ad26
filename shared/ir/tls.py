"""Certificates in the IR. Private keys stand here only sealed (shared/core/sealing.py); certificates are public."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import StringMatch


class Sds(IR, frozen=True):
    """A secret that Envoy gets from another server of secrets, beside itself. `address`: the path of a socket."""

    secret_name: str
    scheme: str = ""
    address: str = ""


class TlsCertificate(IR, frozen=True):
    """`certificate` is base64 PEM in clear; `private_key` a sealed token, opened by xds_server alone. `sds` in place of both."""

    name: str = ""
    sds: Sds | None = None
    certificate: str = ""
    private_key: str = ""
    ocsp_staple: str = ""


class CaCertificate(IR, frozen=True):
    name: str
    sds: Sds | None = None
    certificate: str = ""


class Crl(IR, frozen=True):
    """`data` is base64 PEM: certificates that are no longer good."""

    name: str
    data: str = ""
    only_verify_leaf_certificate: bool = False


class SubjectAltName(IR, frozen=True):
    hostname: str | None = None
    uri: str | None = None


class ListenerTls(IR, frozen=True):
    """TLS of an HTTPS listener (downstream). `alpn_protocols` None means the default (h2, http/1.1), () means none.

    A subject alternative name's `name` is its type (DNS, URI, EMAIL, IP_ADDRESS) or an object identifier.
    """

    certificates: tuple[TlsCertificate, ...] = ()
    ca_certificate: CaCertificate | None = None
    crl: Crl | None = None
    client_validation_enabled: bool = False
    match_typed_subject_alt_names: tuple[StringMatch, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    allow_expired_certificate: bool = False
    stateful_session_resumption: bool = False
    stateless_session_resumption: bool = False
    require_client_certificate: bool = False
    accept_untrusted: bool = False
    min_version: str | None = None
    max_version: str | None = None
    ciphers: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    alpn_protocols: tuple[str, ...] | None = None
    fingerprints: tuple[str, ...] = ()


class UpstreamTls(IR, frozen=True):
    """TLS from Envoy to a backend."""

    sni: str | None = None
    auto_sni_from_endpoint_hostname: bool = False
    ca_certificate: CaCertificate | None = None
    use_system_trust_store: bool = False
    insecure_skip_verify: bool = False
    client_certificates: tuple[TlsCertificate, ...] = ()
    subject_alt_names: tuple[SubjectAltName, ...] = ()
    min_version: str | None = None
    max_version: str | None = None
    ciphers: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    alpn_protocols: tuple[str, ...] | None = None
