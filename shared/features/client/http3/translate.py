"""HTTP/3 of a listener: only over TLS, and not where clients must show certificates, as Envoy cannot check those over QUIC."""

from __future__ import annotations

from shared.features.client.http3.ir import Http3
from shared.features.client.http3.spec import Http3Spec


def translate(spec: Http3Spec | None, over_tls: bool, checks_clients: bool) -> Http3 | None:
    """`checks_clients`: whether the same policy asks for client certificates."""
    return Http3() if spec is not None and over_tls and not checks_clients else None


def withheld(spec: Http3Spec | None, over_tls: bool, checks_clients: bool) -> bool:
    """Whether HTTP/3 was asked for and is not there because of client certificates."""
    return spec is not None and over_tls and checks_clients
