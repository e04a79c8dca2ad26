"""The smaller settings of a listener: what is normalised, what is refused, and what an empty field means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.features.client.connection import translate as connection
from shared.features.client.connection.ir import ClientConnection, ConnectionLimit
from shared.features.client.connection.spec import ClientConnectionSpec
from shared.features.client.grpc import translate as grpc
from shared.features.client.grpc.ir import GrpcSettings
from shared.features.client.grpc.spec import GrpcSpec
from shared.features.client.http3 import translate as http3
from shared.features.client.http3.spec import Http3Spec
from shared.features.client.ip_detection import translate as ip_detection
from shared.features.client.ip_detection.spec import ClientIpDetectionSpec
from shared.features.client.path import translate as path
from shared.features.client.path.ir import PathSettings
from shared.features.client.path.spec import PathSpec
from shared.features.client.proxy_protocol import translate as proxy_protocol
from shared.features.client.proxy_protocol.ir import ClientProxyProtocol
from shared.features.client.proxy_protocol.spec import ClientProxyProtocolSpec
from shared.features.client.timeout import translate as timeout
from shared.features.client.timeout.ir import ClientTimeout, HttpClientTimeout, TcpClientTimeout
from shared.features.client.timeout.spec import ClientTimeoutSpec
from shared.features.parts.faults import Faults
from shared.features.traffic.http2 import translate as http2
from shared.features.traffic.http2.spec import Http2Spec
from shared.features.traffic.tcp_keepalive import translate as tcp_keepalive
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec


def spec(kind: type[Any], **fields: Any) -> Any:
    return msgspec.convert(fields, kind)


def test_timeouts_in_their_normal_spelling_and_every_wrong_one_named() -> None:
    faults = Faults()
    made = timeout.translate(spec(ClientTimeoutSpec, tcp={"idleTimeout": "90s"}, http={"idleTimeout": "0.5s"}), faults)
    assert made == ClientTimeout(tcp=TcpClientTimeout(idle_timeout="1m30s"), http=HttpClientTimeout(idle_timeout="500ms"))
    timeout.translate(spec(ClientTimeoutSpec, tcp={"idleTimeout": "soon"}, http={"streamIdleTimeout": "5sec"}), faults)
    assert faults.texts == ["Timeout: invalid TCP IdleTimeout value soon", "Timeout: invalid HTTP StreamIdleTimeout value 5sec"]


@pytest.mark.parametrize(("size", "number"), [("32Ki", 32768), ("0", 0), ("4Gi", None), ("-1", None), ("1.5", None)])
def test_buffers_have_whole_sizes(size: str, number: int | None) -> None:
    faults = Faults()
    made = connection.translate(spec(ClientConnectionSpec, bufferLimit=size), faults)
    assert made == ClientConnection(buffer_limit=number)
    assert bool(faults.texts) is (number is None)


def test_limits_of_connections() -> None:
    limit = {"value": 3, "closeDelay": "10s", "maxConnectionDuration": "1h", "maxRequestsPerConnection": 5, "maxStreamDuration": "60s"}
    made = connection.translate(spec(ClientConnectionSpec, connectionLimit=limit, maxAcceptPerSocketEvent=0), Faults())
    assert made is not None
    assert made.limit == ConnectionLimit(
        value=3, close_delay="10s", max_connection_duration="1h0m0s", max_requests_per_connection=5, max_stream_duration="1m0s"
    )
    assert made.max_accept_per_socket_event == 0


def test_keepalives_are_whole_seconds() -> None:
    faults = Faults()
    assert tcp_keepalive.translate(spec(TcpKeepaliveSpec, idleTime="1.9s", interval="2m"), faults) == TcpKeepalive(
        idle_time=1, interval=120
    )
    assert tcp_keepalive.translate(spec(TcpKeepaliveSpec), faults) == TcpKeepalive()
    assert faults.texts == []


def test_keepalives_that_no_socket_takes_are_named() -> None:
    faults = Faults()
    assert tcp_keepalive.translate(spec(TcpKeepaliveSpec, probes=128, idleTime="0.5s", interval="10h"), faults) == TcpKeepalive()
    assert faults.texts == [
        "TCP KeepAlive: Probes value 128 is out of range, must be between 1 and 127",
        "TCP KeepAlive: IdleTime value 0s is out of range, must be between 1s and 32767s",
        "TCP KeepAlive: Interval value 36000s is out of range, must be between 1s and 32767s",
    ]


@pytest.mark.parametrize(("window", "number"), [("64Ki", 65536), ("65535", 65535), ("65534", None), ("2Gi", None)])
def test_windows_of_http_2_have_the_protocols_bounds(window: str, number: int | None) -> None:
    faults = Faults()
    made = http2.translate(spec(Http2Spec, initialStreamWindowSize=window, onInvalidMessage="TerminateStream"), faults)
    assert made is not None
    assert (made.initial_stream_window_size, made.reset_stream_on_error) == (number, True)
    assert bool(faults.texts) is (number is None)


def test_http_3_needs_tls_and_gives_way_to_client_certificates() -> None:
    cases = [
        (over_tls, checks, http3.translate(Http3Spec(), over_tls, checks) is not None)
        for over_tls in (True, False)
        for checks in (True, False)
    ]
    assert [c[:2] for c in cases if c[2]] == [(True, False)]
    assert http3.withheld(Http3Spec(), True, True)
    assert not http3.withheld(None, True, True)


def test_networks_that_are_none_are_named() -> None:
    faults = Faults()
    ip_detection.translate(spec(ClientIpDetectionSpec, xForwardedFor={"trustedCIDRs": ["10.0.0.0/8", "10.0.0.0/99"]}), faults)
    assert faults.texts == ["ClientIPDetection: invalid trustedCIDRs value 10.0.0.0/99"]


def test_an_empty_proxy_protocol_means_yes_and_goes_before_the_older_switch() -> None:
    assert proxy_protocol.translate(ClientProxyProtocolSpec(), False) == ClientProxyProtocol()
    assert proxy_protocol.translate(None, True) == ClientProxyProtocol()
    assert proxy_protocol.translate(ClientProxyProtocolSpec(optional=True), True) == ClientProxyProtocol(optional=True)
    assert proxy_protocol.translate(None, False) is None


def test_what_a_policy_says_of_paths_and_grpc_goes_over_the_defaults() -> None:
    default = PathSettings(merge_slashes=True, escaped_slashes_action="UnescapeAndRedirect")
    assert path.translate(spec(PathSpec, disableMergeSlashes=True), default) == msgspec.structs.replace(default, merge_slashes=False)
    assert path.translate(None, default) is default
    before = GrpcSettings(enable_grpc_web=True, enable_grpc_stats=True)
    assert grpc.translate(spec(GrpcSpec, enableWeb=False), before) == GrpcSettings(enable_grpc_web=False, enable_grpc_stats=True)
    assert grpc.translate(None, before) is before
