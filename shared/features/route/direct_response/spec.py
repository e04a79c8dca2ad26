"""An answer of the proxy's own, as Envoy Gateway's HTTPRouteFilter writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference
from shared.features.parts.header_spec import HttpHeaderFilter


class CustomBodySpec(Spec, frozen=True):
    """Inline text, or the `response.body` (or only) key of a ConfigMap."""

    type: str = "Inline"
    inline: str | None = None
    value_ref: SecretObjectReference | None = None


class DirectResponseSpec(Spec, frozen=True):
    status_code: int | None = None
    content_type: str | None = None
    body: CustomBodySpec | None = None
    header: HttpHeaderFilter | None = None
