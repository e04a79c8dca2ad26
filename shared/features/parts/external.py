"""Services beside the backends that the proxy itself asks (keys, tokens, decisions), for every feature that has one."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.features.parts.xds_values import Unrenderable, duration, given, wrapped
from shared.features.route.retry.ir import Retry
from shared.ir.destination import Destination
from shared.ir.traffic import ClusterTraffic, Traffic
from shared.xds.message import Fields

TIMEOUT = "10s"
DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_PORTS = {"https": 443}


class Service(NamedTuple):
    """A cluster that a feature needs: of a destination, or of the host that a URL names."""

    destination: Destination | None
    url: str = ""
    traffic: ClusterTraffic | None = None


class Place(NamedTuple):
    """The host that a URL names. `cluster` is the name of its cluster; `tls`: the system's authorities vouch for it."""

    cluster: str
    host: str
    port: int
    tls: bool
    by_address: bool


def place(url: str) -> Place:
    """Where a URL leads; Unrenderable for one that leads nowhere."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
    except ValueError as e:
        raise Unrenderable(f"{url!r} is not a URL: {e}") from e
    try:
        ipaddress.ip_address(host)
        by_address = True
    except ValueError:
        by_address = False
    return Place(f"{host.replace('.', '_')}_{port}", host, port, parts.scheme == "https", by_address)


def cluster_of(destination: Destination | None, url: str) -> str:
    """The cluster that requests go to."""
    return destination.name if destination is not None and destination.settings else place(url).cluster


def http_uri(uri: str, cluster: str, timeout: str) -> Fields:
    """core.v3.HttpUri."""
    return {"uri": uri, "cluster": cluster, "timeout": duration(timeout)}


def grpc_service(cluster: str, authority: str, timeout: str, traffic: Traffic | None) -> Fields:
    """core.v3.GrpcService."""
    return given(
        {
            "envoy_grpc": given({"cluster_name": cluster, "authority": authority or None}),
            "timeout": duration(timeout),
            "retry_policy": retry_policy(traffic),
        }
    )


def request_timeout(traffic: Traffic | None) -> str:
    """How long a request to the service may take."""
    http = traffic.timeout.http if traffic is not None and traffic.timeout is not None else None
    return http.request_timeout if http is not None and http.request_timeout is not None else TIMEOUT


def retry_policy(traffic: Traffic | None) -> Fields | None:
    """core.v3.RetryPolicy: that of a route has more."""
    retry = traffic.retry if traffic is not None else None
    if retry is None:
        return None
    return given(
        {
            "retry_on": _triggers(retry),
            "num_retries": wrapped(retry.num_retries) if retry.num_retries is not None else None,
            "retry_back_off": _back_off(retry),
        }
    )


def _triggers(retry: Retry) -> str:
    return ",".join(retry.retry_on.triggers) if retry.retry_on is not None and retry.retry_on.triggers else DEFAULT_RETRY_ON


def _back_off(retry: Retry) -> Fields | None:
    back_off = retry.per_retry.back_off if retry.per_retry is not None else None
    if back_off is None or back_off.base_interval is None:
        return None
    longest = back_off.max_interval
    return given({"base_interval": duration(back_off.base_interval), "max_interval": duration(longest) if longest is not None else None})
