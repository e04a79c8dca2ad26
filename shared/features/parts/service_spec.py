"""Services beside the backends, as policies write them."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.gateway import BackendObjectReference
from shared.features.parts.backend_settings_spec import BackendSettingsSpec


class ServiceRef(BackendObjectReference, frozen=True):
    """`fallback`: asked only where no other can be."""

    weight: int | None = None
    fallback: bool | None = None


class ServiceSpec(Spec, frozen=True):
    """`backend_ref` is the deprecated single one; it counts where there are no others."""

    backend_ref: BackendObjectReference | None = None
    backend_refs: tuple[ServiceRef, ...] = ()
    backend_settings: BackendSettingsSpec | None = None

    @property
    def refs(self) -> tuple[ServiceRef, ...]:
        """All that are asked."""
        one = self.backend_ref
        if self.backend_refs or one is None:
            return self.backend_refs
        return (ServiceRef(name=one.name, group=one.group, kind=one.kind, namespace=one.namespace, port=one.port),)
