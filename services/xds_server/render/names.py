"""Names of what is rendered, in the two schemes of Envoy Gateway: after the first listener of a port, or after the port."""

from __future__ import annotations

from typing import NamedTuple

from shared.ir.http import HttpListener
from shared.ir.tcp import TcpListener
from shared.ir.udp import UdpListener


class Names(NamedTuple):
    """`by_port`: names stay as they are when listeners of a port come and go, so that Envoy keeps its connections."""

    by_port: bool = False

    def listener(self, first: HttpListener | TcpListener | UdpListener) -> str:
        """Of the Listener of a port; of several that share it the first gives the name."""
        if not self.by_port:
            return first.name
        return f"{'udp' if isinstance(first, UdpListener) else 'tcp'}-{first.external_port or 0}"

    def quic(self, first: HttpListener) -> str:
        """Of the Listener for HTTP/3 beside that."""
        return f"udp-{first.external_port or 0}" if self.by_port else f"{first.name}-quic"

    def chain(self, of: HttpListener) -> str:
        """Of a filter chain and of its RouteConfiguration. Plain listeners of a port share them."""
        return f"http-{of.external_port or 0}" if self.by_port and of.tls is None else of.name

    def statistics(self, of: HttpListener) -> str:
        port = of.external_port or 0 if self.by_port else of.port
        return f"{'http' if of.tls is None else 'https'}-{port}"

    def host(self, of: HttpListener, hostname: str) -> str:
        """Of a virtual host. Dots in names would cut Envoy's statistics apart."""
        flat = hostname.replace(".", "_")
        return flat if self.by_port else f"{of.name}/{flat}"


USUAL = Names()
