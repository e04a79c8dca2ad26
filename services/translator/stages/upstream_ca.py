"""Authorities that a backend's certificate is checked against, as Backends and BackendTLSPolicies name them."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec

from services.translator.stages.sds import SDS_TYPE, sds
from services.translator.stages.tables import CONFIG_MAPS, SECRETS, core_ref, environment, settings, trust_bundle
from shared.api.gateway import SecretObjectReference
from shared.incremental import Db
from shared.ir.tls import CaCertificate, Sds

SYSTEM_CA = "system_ca_certificates"
_KEYS = ("ca.crt", "tls.crt")
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_KINDS = ("ConfigMap", "Secret", "ClusterTrustBundle")


class Authorities(msgspec.Struct, frozen=True):
    """None and no fault where nothing was named; `unsupported` where only kinds were that nobody knows."""

    ca: CaCertificate | None = None
    fault: str | None = None
    unsupported: bool = False


def system_authorities(db: Db, name: str) -> CaCertificate:
    return CaCertificate(name=SYSTEM_CA if not settings(db).per_resource_system_ca_secret else name)


def authorities(db: Db, refs: Iterable[SecretObjectReference], namespace: str, name: str) -> Authorities:
    """All named bundles as one. Raises Pending while one of them is not known."""
    named = tuple(refs)
    if named and not any(ref.kind in _KINDS for ref in named):
        return Authorities(fault=f"unsupported kind {named[0].kind} in caCertificateRefs", unsupported=True)
    texts: list[bytes] = []
    elsewhere: list[Sds] = []
    for ref in named:
        found = _bundle(db, ref, namespace)
        if isinstance(found, str):
            return Authorities(fault=found)
        if isinstance(found, Sds):
            elsewhere.append(found)
        else:
            texts.append(found)
    if len(elsewhere) > 1:
        return Authorities(fault="multiple SDS reference secrets are not supported")
    if elsewhere and texts:
        return Authorities(fault="SDS reference secrets cannot be mixed with other authorities")
    if elsewhere:
        return Authorities(ca=CaCertificate(name=name, sds=elsewhere[0]))
    if not texts:
        return Authorities()
    return Authorities(ca=CaCertificate(name=name, certificate=base64.b64encode(b"\n".join(texts)).decode()))


def _bundle(db: Db, ref: SecretObjectReference, namespace: str) -> bytes | Sds | str:
    target = core_ref(ref.kind, namespace, ref.name)
    if ref.kind == "ConfigMap":
        row = db.get(CONFIG_MAPS, target)
        if row is None:
            return f"configmap {ref.name} not found in namespace {namespace}"
        return _certificates((_first(row.data) or "").encode()) or f"no ca found in configmap {ref.name}"
    if ref.kind == "ClusterTrustBundle":
        pem = trust_bundle(db, ref.name)
        return pem if pem is not None else f"cluster trust bundle {ref.name} not found"
    if ref.kind != "Secret":
        return f"unsupported kind {ref.kind} in caCertificateRefs"
    secret = db.get(SECRETS, target)
    if secret is None:
        return f"secret {ref.name} not found in namespace {namespace}"
    if secret.type == SDS_TYPE:
        try:
            return sds(db, target, secret)
        except ValueError as e:
            return str(e)
    value = _first(secret.data)
    if value is None:
        return f"no ca found in secret {ref.name}"
    try:
        return _certificates(environment(db).opened(value)) or f"no ca found in secret {ref.name}"
    except ValueError as e:
        return f"secret {ref.name}: {e}"


def _certificates(data: bytes) -> bytes | None:
    """None for what holds no certificate: Envoy would refuse the cluster, and nobody would be told why."""
    return data if _BEGIN in data else None


def _first(data: dict[str, str]) -> str | None:
    return next((data[k] for k in _KEYS if k in data), next(iter(data.values())) if len(data) == 1 else None)
