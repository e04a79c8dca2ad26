"""TLS from Envoy to Backends: what the server must prove, and which certificate Envoy shows.

A Gateway's own client certificate goes before its EnvoyProxy's; what the Backend says goes before both.
"""

from __future__ import annotations

import base64

import msgspec
from msgspec.structs import replace

from services.translator.stages.gateways import gateway_row
from services.translator.stages.grants import permitted
from services.translator.stages.proxies import effective
from services.translator.stages.tables import BACKENDS, CONFIG_MAPS, GATEWAYS, SECRETS, core_ref, environment, settings
from shared.api.envoy import Backend, BackendTls, ClientTls
from shared.api.gateway import GROUP, SecretObjectReference
from shared.core.refs import ObjectRef
from shared.incremental import Db, query
from shared.ir.tls import CaCertificate, TlsCertificate, UpstreamTls

SYSTEM_CA = "system_ca_certificates"
_CA_KEYS = ("ca.crt", "tls.crt")


class Client(msgspec.Struct, frozen=True):
    """A Gateway's client certificate for its backends, or why there is none."""

    certificate: TlsCertificate | None = None
    configured: bool = False
    reason: str | None = None
    message: str = ""


@query
def gateway_client(db: Db, gateway: ObjectRef) -> Client:
    """spec.tls.backend of a Gateway. Raises Pending while its Secret is not known."""
    row = gateway_row(db, gateway)
    spec = row.spec.tls.backend if row.spec.tls is not None else None
    if spec is None:
        return Client()
    ref = spec.client_certificate_ref
    if ref is None:
        return Client(configured=True)

    def refused(reason: str, message: str) -> Client:
        return Client(configured=True, reason=reason, message=message)

    if ref.kind != "Secret" or ref.group:
        text = f"invalid client certificate reference {'kind' if ref.kind != 'Secret' else 'group'}: {ref.group}/{ref.kind}"
        return refused("InvalidClientCertificateRef", f"Invalid backend client certificate reference for gateway: {text}")
    target = core_ref("Secret", ref.namespace or gateway.namespace, ref.name)
    if not permitted(db, GROUP, "Gateway", gateway.namespace, target):
        return refused("RefNotPermitted", "invalid cross-namespace reference to backend client certificate")
    found = _client_certificate(db, target)
    if isinstance(found, str):
        return refused("InvalidClientCertificateRef", found)
    return Client(certificate=found, configured=True)


def _client_certificate(db: Db, ref: ObjectRef) -> TlsCertificate | str:
    secret = db.get(SECRETS, ref)
    at = f"{ref.namespace}/{ref.name}"
    if secret is None:
        return f"failed to locate TLS secret for client auth: {at}"
    if not secret.data.get("tls.crt") or not secret.data.get("tls.key"):
        return f"secret {at} must contain 'tls.crt' and 'tls.key' fields"
    try:
        certificate = base64.b64encode(environment(db).opened(secret.data["tls.crt"])).decode()
    except ValueError as e:
        return f"secret {at}: {e}"
    return TlsCertificate(name=at, certificate=certificate, private_key=secret.data["tls.key"])


@query
def fleet_client(db: Db, gateway: ObjectRef) -> UpstreamTls | str | None:
    """How a Gateway's proxies present themselves to any TLS backend; text: why that is not possible."""
    if db.get(GATEWAYS, gateway) is None:
        return None
    own = gateway_client(db, gateway)
    if own.configured:
        return UpstreamTls(client_certificates=(own.certificate,)) if own.certificate is not None else None
    found = effective(db, gateway)
    if found.spec.backend_tls is None:
        return None
    meta = (found.raw or {}).get("metadata", {})
    return _client(db, found.spec.backend_tls, meta.get("namespace") or settings(db).controller_namespace, "EnvoyProxy")


def _client(db: Db, spec: ClientTls, namespace: str, owner: str) -> UpstreamTls | str:
    certificates: tuple[TlsCertificate, ...] = ()
    ref = spec.client_certificate_ref
    if ref is not None:
        if ref.namespace not in (None, namespace):
            return f"ClientCertificateRef Secret is not located in the same namespace as {owner}: {ref.namespace} is not {namespace}"
        found = _client_certificate(db, core_ref("Secret", namespace, ref.name))
        if isinstance(found, str):
            return found
        certificates = (found,)
    return UpstreamTls(
        client_certificates=certificates,
        min_version=spec.min_version,
        max_version=spec.max_version,
        ciphers=spec.ciphers,
        ecdh_curves=spec.ecdh_curves,
        signature_algorithms=spec.signature_algorithms,
        alpn_protocols=spec.alpn_protocols,
    )


@query
def backend_tls(db: Db, ref: ObjectRef, gateway: ObjectRef) -> UpstreamTls | str | None:
    """TLS to one Backend from one Gateway's proxies: None for plain text; text: why it is not possible."""
    row = db.get(BACKENDS, ref)
    if row is None or row.spec.tls is None:
        return None
    server = _server(db, row, row.spec.tls)
    if isinstance(server, str):
        return server
    own = _client(db, row.spec.tls, ref.namespace, "Backend")
    common = fleet_client(db, gateway)
    for each in (own, common):
        if isinstance(each, str):
            return each
    assert isinstance(own, UpstreamTls)
    assert not isinstance(common, str)
    return _joined(server, own, common or UpstreamTls())


def _joined(server: UpstreamTls, own: UpstreamTls, common: UpstreamTls) -> UpstreamTls:
    return replace(
        server,
        client_certificates=own.client_certificates or common.client_certificates,
        min_version=own.min_version or common.min_version or "1.2",
        max_version=own.max_version or common.max_version or "1.3",
        ciphers=own.ciphers or common.ciphers,
        ecdh_curves=own.ecdh_curves or common.ecdh_curves,
        signature_algorithms=own.signature_algorithms or common.signature_algorithms,
        alpn_protocols=own.alpn_protocols if own.alpn_protocols is not None else common.alpn_protocols,
    )


def _server(db: Db, row: Backend, spec: BackendTls) -> UpstreamTls | str:
    base = UpstreamTls(
        sni=spec.sni, insecure_skip_verify=spec.insecure_skip_verify, auto_sni_from_endpoint_hostname=spec.auto_sni_from_endpoint_hostname
    )
    if spec.insecure_skip_verify:
        return base
    name = f"{row.metadata.name}/{row.metadata.namespace}-ca"
    if spec.well_known_ca_certificates == "System":
        shared = SYSTEM_CA if not settings(db).per_resource_system_ca_secret else name
        return replace(base, use_system_trust_store=True, ca_certificate=CaCertificate(name=shared))
    texts = []
    for ref in spec.ca_certificate_refs:
        found = _authority(db, ref, row.metadata.namespace)
        if isinstance(found, str):
            return found
        texts.append(found)
    if not texts:
        return "CACertificate must be specified when InsecureSkipVerify is false"
    return replace(base, ca_certificate=CaCertificate(name=name, certificate=base64.b64encode(b"\n".join(texts)).decode()))


def _authority(db: Db, ref: SecretObjectReference, namespace: str) -> bytes | str:
    target = core_ref(ref.kind, namespace, ref.name)
    if ref.kind == "ConfigMap":
        row = db.get(CONFIG_MAPS, target)
        if row is None:
            return f"configmap {ref.name} not found in namespace {namespace}"
        text = _first(row.data)
        return text.encode() if text is not None else f"no ca found in configmap {ref.name}"
    if ref.kind != "Secret":
        return f"unsupported kind {ref.kind} in caCertificateRefs"
    secret = db.get(SECRETS, target)
    if secret is None:
        return f"secret {ref.name} not found in namespace {namespace}"
    value = _first(secret.data)
    if value is None:
        return f"no ca found in secret {ref.name}"
    try:
        return environment(db).opened(value)
    except ValueError as e:
        return f"secret {ref.name}: {e}"


def _first(data: dict[str, str]) -> str | None:
    return next((data[k] for k in _CA_KEYS if k in data), next(iter(data.values())) if len(data) == 1 else None)
