"""Timeouts towards clients: durations in their normal spelling."""

from __future__ import annotations

from shared.features.client.timeout.ir import ClientTimeout, HttpClientTimeout, TcpClientTimeout
from shared.features.client.timeout.spec import ClientTimeoutSpec
from shared.features.parts.faults import Faults


def translate(spec: ClientTimeoutSpec | None, faults: Faults) -> ClientTimeout | None:
    if spec is None:
        return None
    of, http, tcp = faults.inside("Timeout").duration, None, None
    if spec.tcp is not None:
        tcp = TcpClientTimeout(
            idle_timeout=of("TCP IdleTimeout", spec.tcp.idle_timeout),
            tls_handshake_timeout=of("TCP TLSHandshakeTimeout", spec.tcp.tls_handshake_timeout),
            connection_inspection_timeout=of("TCP ConnectionInspectionTimeout", spec.tcp.connection_inspection_timeout),
        )
    if spec.http is not None:
        http = HttpClientTimeout(
            request_received_timeout=of("HTTP RequestReceivedTimeout", spec.http.request_received_timeout),
            request_headers_received_timeout=of("HTTP RequestHeadersReceivedTimeout", spec.http.request_headers_received_timeout),
            idle_timeout=of("HTTP IdleTimeout", spec.http.idle_timeout),
            stream_idle_timeout=of("HTTP StreamIdleTimeout", spec.http.stream_idle_timeout),
        )
    return ClientTimeout(tcp=tcp, http=http)
