"""TLS from Envoy to Backends: what the server must prove, and which certificate Envoy shows.

A Gateway's own client certificate goes before its EnvoyProxy's; what the Backend says goes before both.
"""

from __future__ import annotations

import base64

import msgspec
from msgspec.structs import replace

from services.translator.stages.backend_tls_policies import bundle, policy_for
from services.translator.stages.gateways import gateway_row
from services.translator.stages.grants import permitted
from services.translator.stages.proxies import effective
from services.translator.stages.sds import SDS_TYPE, sds
from services.translator.stages.tables import BACKENDS, GATEWAYS, SECRETS, core_ref, environment, settings
from services.translator.stages.upstream_ca import authorities, system_authorities
from shared.api.envoy import BackendTls, ClientTls
from shared.api.gateway import GROUP
from shared.core.refs import ObjectRef
from shared.incremental import Db, query
from shared.ir.tls import TlsCertificate, UpstreamTls


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
    found = client_certificate(db, target)
    if isinstance(found, str):
        return refused("InvalidClientCertificateRef", found)
    return Client(certificate=found, configured=True)


def client_certificate(db: Db, ref: ObjectRef) -> TlsCertificate | str:
    """The certificate by which proxies show who they are, or why there is none. Raises Pending while its Secret is unknown."""
    secret = db.get(SECRETS, ref)
    at = f"{ref.namespace}/{ref.name}"
    if secret is None:
        return f"failed to locate TLS secret for client auth: {at}"
    if secret.type == SDS_TYPE:
        try:
            return TlsCertificate(sds=sds(db, ref, secret))
        except ValueError as e:
            return str(e)
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
        found = client_certificate(db, core_ref("Secret", namespace, ref.name))
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
def backend_tls(db: Db, ref: ObjectRef, section: str | None, gateway: ObjectRef) -> UpstreamTls | str | None:
    """TLS to one backend's port from one Gateway's proxies: None for plain text; text: why it is not possible.

    A BackendTLSPolicy overrules what a Backend asks of its server.
    """
    row = db.get(BACKENDS, ref) if ref.kind == "Backend" else None
    spec = row.spec.tls if row is not None else None
    server = _server(db, ref, spec) if spec is not None else None
    own = _client(db, spec, ref.namespace, "Backend") if spec is not None else UpstreamTls()
    for each in (server, own):
        if isinstance(each, str):
            return each
    policy = policy_for(db, ref, section)
    if policy is not None:
        asked = bundle(db, policy)
        if asked.tls is None:
            return asked.message
        server = replace(asked.tls, insecure_skip_verify=isinstance(server, UpstreamTls) and server.insecure_skip_verify)
    if server is None:
        return None
    common = fleet_client(db, gateway)
    if isinstance(common, str):
        return common
    assert isinstance(server, UpstreamTls)
    assert isinstance(own, UpstreamTls)
    if not server.insecure_skip_verify and server.ca_certificate is None:
        return "CACertificate must be specified when InsecureSkipVerify is false"
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


def _server(db: Db, ref: ObjectRef, spec: BackendTls) -> UpstreamTls | str:
    base = UpstreamTls(
        sni=spec.sni, insecure_skip_verify=spec.insecure_skip_verify, auto_sni_from_endpoint_hostname=spec.auto_sni_from_endpoint_hostname
    )
    if spec.insecure_skip_verify:
        return base
    name = f"{ref.name}/{ref.namespace}-ca"
    if spec.well_known_ca_certificates == "System":
        return replace(base, use_system_trust_store=True, ca_certificate=system_authorities(db, name))
    found = authorities(db, spec.ca_certificate_refs, ref.namespace, name)
    return found.fault if found.fault is not None else replace(base, ca_certificate=found.ca)
