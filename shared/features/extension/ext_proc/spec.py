"""External processing as Envoy Gateway's EnvoyExtensionPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.features.parts.service_spec import ServiceSpec


class ProcessingSideSpec(Spec, frozen=True):
    """Given at all, headers are sent; the body in a mode if there is one."""

    body: str | None = None
    attributes: tuple[str, ...] = ()


class ProcessingModeSpec(Spec, frozen=True):
    request: ProcessingSideSpec | None = None
    response: ProcessingSideSpec | None = None
    allow_mode_override: bool = False


class MetadataSpec(Spec, frozen=True):
    """Namespaces of dynamic metadata that the service may read, and write."""

    accessible_namespaces: tuple[str, ...] = ()
    writable_namespaces: tuple[str, ...] = ()


class ExtProcSpec(ServiceSpec, frozen=True):
    message_timeout: str | None = None
    shadow_mode: bool | None = None
    fail_open: bool | None = None
    status_on_error: int | None = None
    processing_mode: ProcessingModeSpec | None = None
    metadata: MetadataSpec | None = None
