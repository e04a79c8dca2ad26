"""TLS: transport sockets towards clients and backends, and the secrets that they name.

Certificates travel as base64 PEM, private keys sealed; a secret's bytes are opened here and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence

from services.xds_server.render.types import CLUSTER, SECRET, Need, Rendered, rendered
from shared.core.sealing import SealError
from shared.features.parts.xds_values import Unrenderable, config_source, string_matcher
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.route.credential_injection.xds import secret_name
from shared.ir.destination import DestinationSetting
from shared.ir.match import StringMatch
from shared.ir.tls import CaCertificate, Crl, ListenerTls, Sds, SubjectAltName, TlsCertificate, UpstreamTls
from shared.xds.message import Fields, pack

OpenSecret = Callable[[str], bytes]
"""A sealed token -> the bytes sealed in it; raises SealError for a token that no key opens."""

SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_READABLE = 48
"""Bytes of a socket's path that its cluster's name shows."""
DEFAULT_ALPN = ("h2", "http/1.1")
_SAN_TYPES = {"": "SAN_TYPE_UNSPECIFIED", "EMAIL": "EMAIL", "DNS": "DNS", "URI": "URI", "IP_ADDRESS": "IP_ADDRESS"}
_VERSIONS = {"1.0": "TLSv1_0", "1.1": "TLSv1_1", "1.2": "TLSv1_2", "1.3": "TLSv1_3"}
_TLS = "envoy.extensions.transport_sockets.tls.v3"


OWN_CA_FILE = "/certs/ca.crt"
"""The control plane's authority, where a proxy's container has it."""


def decoded(text: str) -> bytes:
    """Bytes of a base64 field."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise Unrenderable(f"not base64: {e}") from e


def sds(name: str, other: Sds | None = None) -> Fields:
    """SdsSecretConfig: from us under that name, or from another server."""
    if other is None:
        return {"name": name, "sds_config": config_source()}
    services = [{"envoy_grpc": {"cluster_name": sds_cluster_name(other)}}]
    return {"name": other.secret_name, "sds_config": {"api_config_source": {"api_type": "GRPC", "grpc_services": services}}}


def sds_cluster_name(of: Sds) -> str:
    """A cluster for each socket: readable, and unlike any other."""
    readable = of.address.replace("/", "_").strip("_")
    while len(readable.encode()) > _READABLE:
        readable = readable[:-1]
    mark = hashlib.sha256(of.address.encode()).hexdigest()[:32]
    return f"sds_{readable}_{mark}" if readable else f"sds_{mark}"


def sds_cluster(of: Sds) -> tuple[str, Rendered]:
    """Name and cluster by which Envoy reaches another server of secrets."""
    name = sds_cluster_name(of)
    socket: Fields = {"endpoint": {"address": {"pipe": {"path": of.address}}}}
    fields: Fields = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": {"seconds": 10},
        "http2_protocol_options": {},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [socket]}]},
    }
    return name, rendered(CLUSTER, fields)


def other_servers(tls: ListenerTls | UpstreamTls) -> dict[str, Rendered]:
    """Clusters of the servers of secrets that a socket asks besides us."""
    certificates = tls.certificates if isinstance(tls, ListenerTls) else tls.client_certificates
    authority = (tls.ca_certificate,) if tls.ca_certificate is not None else ()
    return dict(sds_cluster(each.sds) for each in (*certificates, *authority) if each.sds is not None)


def _params(tls: ListenerTls | UpstreamTls) -> Fields:
    params: Fields = {}
    for field, version in (("tls_minimum_protocol_version", tls.min_version), ("tls_maximum_protocol_version", tls.max_version)):
        if version is not None:
            params[field] = _VERSIONS.get(version, "TLS_AUTO")
    for field, values in (
        ("cipher_suites", tls.ciphers),
        ("ecdh_curves", tls.ecdh_curves),
        ("signature_algorithms", tls.signature_algorithms),
    ):
        if values:
            params[field] = list(values)
    return {"tls_params": params} if params else {}


def downstream_socket(tls: ListenerTls, overlaps: bool) -> Fields:
    """TransportSocket of an HTTPS filter chain. Overlapping certificates forbid h2: a client would reuse its connection."""
    alpn = tls.alpn_protocols
    if alpn is None:
        alpn = ("http/1.1",) if overlaps else DEFAULT_ALPN
    context = pack(f"{_TLS}.DownstreamTlsContext", downstream_context(tls, alpn))
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def downstream_context(tls: ListenerTls, alpn: Sequence[str]) -> Fields:
    """DownstreamTlsContext of a filter chain whose connections are TLS."""
    common: Fields = _params(tls) | {
        "alpn_protocols": list(alpn),
        "tls_certificate_sds_secret_configs": [sds(c.name, c.sds) for c in tls.certificates],
    }
    context: Fields = {"common_tls_context": common}
    if not tls.stateful_session_resumption:
        context["disable_stateful_session_resumption"] = True
    if not tls.stateless_session_resumption:
        context["disable_stateless_session_resumption"] = True
    if tls.ca_certificate is not None or tls.client_validation_enabled:
        context["require_client_certificate"] = {"value": tls.require_client_certificate}
        common |= _client_validation(tls)
    return context


def _client_validation(tls: ListenerTls) -> Fields:
    own: Fields = {"trust_chain_verification": "ACCEPT_UNTRUSTED"} if tls.accept_untrusted else {}
    if tls.allow_expired_certificate:
        own["allow_expired_certificate"] = True
    for field, values in (
        ("verify_certificate_spki", tls.verify_certificate_spki),
        ("verify_certificate_hash", tls.verify_certificate_hash),
    ):
        if values:
            own[field] = list(values)
    if tls.match_typed_subject_alt_names:
        own["match_typed_subject_alt_names"] = [_client_san(m) for m in tls.match_typed_subject_alt_names]
    if tls.ca_certificate is None:
        return {"validation_context": own}
    authority = sds(tls.ca_certificate.name, tls.ca_certificate.sds)
    if not own:
        return {"validation_context_sds_secret_config": authority}
    return {"combined_validation_context": {"default_validation_context": own, "validation_context_sds_secret_config": authority}}


def _client_san(match: StringMatch) -> Fields:
    matcher = {"matcher": string_matcher(match)}
    if match.name in _SAN_TYPES:
        return {"san_type": _SAN_TYPES[match.name]} | matcher
    return {"san_type": "OTHER_NAME", "oid": match.name} | matcher


def _san(name: SubjectAltName) -> Fields:
    if name.uri is not None:
        return {"san_type": "URI", "matcher": {"exact": name.uri}}
    return {"san_type": "DNS", "matcher": {"exact": name.hostname or ""}}


def upstream_socket(tls: UpstreamTls, *, auto_sni: bool, dynamic: bool) -> Fields:
    """TransportSocket towards a backend. A literal SNI is what the certificate must say, unless names to check are given."""
    common: Fields = _params(tls)
    context: Fields = {"common_tls_context": common}
    if not tls.insecure_skip_verify and tls.ca_certificate is not None:
        names = tls.subject_alt_names or ((SubjectAltName(hostname=tls.sni),) if tls.sni is not None else ())
        common["combined_validation_context"] = {
            "validation_context_sds_secret_config": sds(tls.ca_certificate.name, tls.ca_certificate.sds),
            "default_validation_context": {"match_typed_subject_alt_names": [_san(n) for n in names]},
        }
        if not names and (auto_sni or tls.auto_sni_from_endpoint_hostname) and not dynamic:
            context["auto_sni_san_validation"] = True
    if tls.sni is not None:
        context["sni"] = tls.sni
    if tls.auto_sni_from_endpoint_hostname:
        context["auto_host_sni"] = True
    if tls.alpn_protocols is not None:
        common["alpn_protocols"] = list(tls.alpn_protocols)
    if tls.client_certificates:
        common["tls_certificate_sds_secret_configs"] = [sds(c.name, c.sds) for c in tls.client_certificates]
    return {"name": "envoy.transport_sockets.tls", "typed_config": pack(f"{_TLS}.UpstreamTlsContext", context)}


def public_socket(host: str) -> Fields:
    """TransportSocket towards a host of the internet."""
    common: Fields = {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "validation_context": {"trusted_ca": {"filename": SYSTEM_CA_FILE}},
    }
    context: Fields = {"sni": host, "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": pack(f"{_TLS}.UpstreamTlsContext", context)}


def own_socket(certificate: str, authority: str | None = None) -> Fields:
    """TransportSocket towards a service of the control plane, whose authority (base64 of PEM; a file unless given) vouches for both."""
    common: Fields = {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "validation_context": {"trusted_ca": {"filename": OWN_CA_FILE} if authority is None else {"inline_bytes": decoded(authority)}},
        "tls_certificate_sds_secret_configs": [sds(certificate)],
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": pack(f"{_TLS}.UpstreamTlsContext", {"common_tls_context": common})}


def certificate_secret(certificate: TlsCertificate, open_secret: OpenSecret) -> Rendered:
    """SDS secret of a certificate with its private key; Unrenderable where the key cannot be opened."""
    try:
        key = open_secret(certificate.private_key)
    except SealError as e:
        raise Unrenderable(f"certificate {certificate.name}: its private key cannot be opened") from e
    fields: Fields = {
        "certificate_chain": {"inline_bytes": decoded(certificate.certificate)},
        "private_key": {"inline_bytes": key},
    }
    if certificate.ocsp_staple:
        fields["ocsp_staple"] = {"inline_bytes": decoded(certificate.ocsp_staple)}
    return rendered(SECRET, {"name": certificate.name, "tls_certificate": fields})


def credential_secret(of: CredentialInjection, open_secret: OpenSecret) -> Rendered:
    """SDS secret of an injected credential; Unrenderable where it cannot be opened."""
    try:
        credential = open_secret(of.credential)
    except SealError as e:
        raise Unrenderable(f"credential {of.name} cannot be opened") from e
    return rendered(SECRET, {"name": secret_name(of), "generic_secret": {"secret": {"inline_bytes": credential}}})


def ca_secret(ca: CaCertificate, crl: Crl | None = None) -> Rendered:
    """SDS secret of authorities, with the list of certificates that are no longer good."""
    validation: Fields = {"trusted_ca": {"inline_bytes": decoded(ca.certificate)}}
    if crl is not None:
        validation |= {"crl": {"inline_bytes": decoded(crl.data)}, "only_verify_leaf_cert_crl": crl.only_verify_leaf_certificate}
    return rendered(SECRET, {"name": ca.name, "validation_context": validation})


def system_ca_secret(name: str) -> Rendered:
    return rendered(SECRET, {"name": name, "validation_context": {"trusted_ca": {"filename": SYSTEM_CA_FILE}}})


def listener_secrets(tls: ListenerTls, open_secret: OpenSecret) -> dict[str, Rendered]:
    """All secrets that a listener's TLS names."""
    out = {c.name: certificate_secret(c, open_secret) for c in tls.certificates if c.sds is None}
    if tls.ca_certificate is not None and tls.ca_certificate.sds is None:
        out[tls.ca_certificate.name] = ca_secret(tls.ca_certificate, tls.crl)
    return out


def setting_secrets(setting: DestinationSetting, open_secret: OpenSecret) -> dict[str, Rendered]:
    """All secrets that a backend's TLS names."""
    tls = setting.tls
    if tls is None:
        return {}
    out = {c.name: certificate_secret(c, open_secret) for c in tls.client_certificates if c.sds is None}
    if tls.ca_certificate is not None and tls.ca_certificate.sds is None and not tls.insecure_skip_verify:
        ca = tls.ca_certificate
        out[ca.name] = system_ca_secret(ca.name) if tls.use_system_trust_store else ca_secret(ca)
    return out


def tls_needs(tls: ListenerTls | UpstreamTls) -> tuple[Need, ...]:
    """The secrets that a socket makes Envoy ask for."""
    certificates = tls.certificates if isinstance(tls, ListenerTls) else tls.client_certificates
    authority = (tls.ca_certificate,) if tls.ca_certificate is not None else ()
    return tuple((SECRET, each.name) for each in (*certificates, *authority) if each.sds is None)
