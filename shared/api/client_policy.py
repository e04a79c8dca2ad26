"""ClientTrafficPolicy: what a listener does with its clients. Its parts are the features' own."""

from __future__ import annotations

import msgspec

from shared.api.targets import PolicyObject, PolicyTargets
from shared.features.client.connection.spec import ClientConnectionSpec
from shared.features.client.grpc.spec import GrpcSpec
from shared.features.client.headers.spec import HeadersSpec
from shared.features.client.health_check.spec import ClientHealthCheckSpec
from shared.features.client.http1.spec import Http1Spec
from shared.features.client.http3.spec import Http3Spec
from shared.features.client.ip_detection.spec import ClientIpDetectionSpec
from shared.features.client.path.spec import PathSpec
from shared.features.client.proxy_protocol.spec import ClientProxyProtocolSpec
from shared.features.client.scheme.spec import Scheme
from shared.features.client.timeout.spec import ClientTimeoutSpec
from shared.features.client.tls.spec import ClientTlsSpec
from shared.features.traffic.http2.spec import Http2Spec
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec


class ClientTrafficPolicySpec(PolicyTargets, frozen=True):
    """`enable_proxy_protocol` is what `proxy_protocol` replaces."""

    tcp_keepalive: TcpKeepaliveSpec | None = None
    enable_proxy_protocol: bool | None = None
    proxy_protocol: ClientProxyProtocolSpec | None = None
    client_ip_detection: ClientIpDetectionSpec | None = msgspec.field(default=None, name="clientIPDetection")
    tls: ClientTlsSpec | None = None
    path: PathSpec | None = None
    headers: HeadersSpec | None = None
    timeout: ClientTimeoutSpec | None = None
    connection: ClientConnectionSpec | None = None
    http1: Http1Spec | None = None
    http2: Http2Spec | None = None
    http3: Http3Spec | None = None
    grpc: GrpcSpec | None = None
    health_check: ClientHealthCheckSpec | None = None
    scheme: Scheme | None = None


class ClientTrafficPolicy(PolicyObject, frozen=True, kw_only=True):
    spec: ClientTrafficPolicySpec
