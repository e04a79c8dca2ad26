"""What policies refer to: Secrets, ConfigMaps and ClusterTrustBundles with authorities and lists of revoked certificates."""

from __future__ import annotations

from services.translator.stages.grants import permitted
from services.translator.stages.pem import authorities, revocation_fault, split
from services.translator.stages.tables import CONFIG_MAPS, SECRETS, core_ref, environment, trust_bundle
from shared.api.gateway import SecretObjectReference
from shared.core.kinds import CERTIFICATES
from shared.core.refs import ObjectRef
from shared.features.client.tls.translate import Lookup
from shared.incremental import Db

CA_KEY, CRL_KEY = "ca.crt", "ca.crl"


def lookup(db: Db, policy: ObjectRef) -> Lookup:
    """For the TLS of a listener; references count from the policy. What it reads raises Pending while it is unknown."""

    def _authorities(ref: SecretObjectReference) -> tuple[bytes, ...]:
        good, faults = authorities(data_at(db, policy, ref, CA_KEY), environment(db).now())
        if not good:
            raise ValueError(f"no valid certificates exist in {ref.name}: {'; '.join(faults)}")
        return split(good)

    def _revoked(ref: SecretObjectReference) -> bytes:
        data = data_at(db, policy, ref, CRL_KEY)
        if (fault := revocation_fault(data, environment(db).now())) is not None:
            raise ValueError(f"invalid crl in {ref.name}: {fault}")
        return data

    return Lookup(_authorities, _revoked)


def data_at(db: Db, policy: ObjectRef, ref: SecretObjectReference, key: str) -> bytes:
    """The value under a key of the Secret or ConfigMap, or its only one, or a ClusterTrustBundle; ValueError where there is none."""
    if ref.kind == "ClusterTrustBundle" and ref.group in ("", CERTIFICATES):
        pem = trust_bundle(db, ref.name)
        if pem is None:
            raise ValueError(f"ClusterTrustBundle {ref.name} does not exist")
        return pem
    if ref.group or ref.kind not in ("Secret", "ConfigMap"):
        raise ValueError(f"unsupported ref kind: {ref.group}/{ref.kind}" if ref.group else f"unsupported ref kind: {ref.kind}")
    target = core_ref(ref.kind, ref.namespace or policy.namespace, ref.name)
    at = f"{target.namespace}/{target.name}"
    if not permitted(db, policy.group, policy.kind, policy.namespace, target):
        raise ValueError(f"{ref.kind.lower()} ref to {at} not permitted by any ReferenceGrant")
    row = db.get(SECRETS, target) if ref.kind == "Secret" else db.get(CONFIG_MAPS, target)
    if row is None:
        raise ValueError(f"{ref.kind.lower()} {at} does not exist")
    value = row.data.get(key) or (next(iter(row.data.values())) if len(row.data) == 1 else None)
    if not value:
        raise ValueError(f"{ref.kind.lower()} {at} has no {key} and more than one entry")
    return environment(db).opened(value) if ref.kind == "Secret" else value.encode()
