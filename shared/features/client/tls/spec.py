"""TLS of a listener as a ClientTrafficPolicy writes it. An empty `alpn_protocols` switches ALPN off, None leaves the default."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference
from shared.features.parts.string_match import StringMatchSpec

Version = Literal["Auto", "1.0", "1.1", "1.2", "1.3"]
ValidationMode = Literal["Request", "RequireAny", "VerifyIfGiven", "RequireAndVerify"]


class OtherNameSpec(StringMatchSpec, frozen=True, kw_only=True):
    oid: str


class SubjectAltNamesSpec(Spec, frozen=True):
    dns_names: tuple[StringMatchSpec, ...] = ()
    email_addresses: tuple[StringMatchSpec, ...] = ()
    ip_addresses: tuple[StringMatchSpec, ...] = ()
    uris: tuple[StringMatchSpec, ...] = ()
    other_names: tuple[OtherNameSpec, ...] = ()


class CrlSpec(Spec, frozen=True):
    refs: tuple[SecretObjectReference, ...]
    only_verify_leaf_certificate: bool = False


class ClientValidationSpec(Spec, frozen=True):
    """`optional` is what `mode` replaces."""

    optional: bool = False
    mode: ValidationMode | None = None
    ca_certificate_refs: tuple[SecretObjectReference, ...] = ()
    spki_hashes: tuple[str, ...] = ()
    certificate_hashes: tuple[str, ...] = ()
    subject_alt_names: SubjectAltNamesSpec | None = None
    crl: CrlSpec | None = None
    allow_expired_certificate: bool = False


class ResumptionSpec(Spec, frozen=True):
    """Each is on where it is there."""

    stateless: dict[str, object] | None = None
    stateful: dict[str, object] | None = None


class SessionSpec(Spec, frozen=True):
    resumption: ResumptionSpec | None = None


class ClientTlsSpec(Spec, frozen=True):
    client_validation: ClientValidationSpec | None = None
    min_version: Version | None = None
    max_version: Version | None = None
    ciphers: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = msgspec.field(default=(), name="ecdhCurves")
    signature_algorithms: tuple[str, ...] = ()
    alpn_protocols: tuple[str, ...] | None = None
    fingerprints: tuple[Literal["JA3", "JA4"], ...] = ()
    session: SessionSpec | None = None
