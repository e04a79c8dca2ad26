"""Policies of the Gateway API."""

from __future__ import annotations

import msgspec

from shared.api.base import Object, Spec
from shared.api.gateway import SecretObjectReference


class PolicyTarget(Spec, frozen=True):
    """An object in the policy's own namespace, or a section (a port's name) of it."""

    kind: str
    name: str
    group: str = ""
    section_name: str | None = None


class SubjectAltNameSpec(Spec, frozen=True):
    type: str = ""
    hostname: str | None = None
    uri: str | None = None


class BackendValidation(Spec, frozen=True):
    hostname: str = ""
    ca_certificate_refs: tuple[SecretObjectReference, ...] = ()
    well_known_ca_certificates: str | None = msgspec.field(default=None, name="wellKnownCACertificates")
    subject_alt_names: tuple[SubjectAltNameSpec, ...] = ()


class BackendTlsPolicySpec(Spec, frozen=True):
    target_refs: tuple[PolicyTarget, ...] = ()
    validation: BackendValidation = BackendValidation()


class BackendTlsPolicy(Object, frozen=True):
    spec: BackendTlsPolicySpec = BackendTlsPolicySpec()
