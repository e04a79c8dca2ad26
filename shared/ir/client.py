"""What a ClientTrafficPolicy says of connections from clients, for listeners of every kind."""

from __future__ import annotations

from shared.features.client.connection.ir import ClientConnection
from shared.features.client.proxy_protocol.ir import ClientProxyProtocol
from shared.features.client.timeout.ir import ClientTimeout
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.ir.base import IR


class ClientSettings(IR, frozen=True):
    """`client_policy`: `<namespace>/<name>` of the policy, to be told if Envoy refuses the listener; `assemble` leaves it out."""

    client_policy: str = ""
    tcp_keepalive: TcpKeepalive | None = None
    connection: ClientConnection | None = None
    timeout: ClientTimeout | None = None
    proxy_protocol: ClientProxyProtocol | None = None
