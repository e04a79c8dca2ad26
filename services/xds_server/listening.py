"""How the gRPC servers of this service listen: with mTLS from files that may change, or in plain on loopback alone."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import grpc
import structlog

from services.xds_server.settings import XdsSettings

log = structlog.get_logger(__name__)


def bind(server: grpc.aio.Server, address: str, settings: XdsSettings, *, by_certificate: bool = True) -> int:
    """The port that `host:port` came to be (port 0: any). ValueError for plaintext elsewhere than on loopback; OSError.

    `by_certificate`: clients must show one of ours; otherwise they prove themselves in another way.
    """
    certificate, key, ca = settings.certificate, settings.private_key, settings.client_ca
    if certificate and key and ca:
        files = _TlsFiles(Path(certificate), Path(key), Path(ca))
        credentials = grpc.dynamic_ssl_server_credentials(
            files.current(),
            files.changed,  # type: ignore[arg-type]  # the stubs do not know that None means no change
            require_client_authentication=by_certificate,
        )
        port = int(server.add_secure_port(address, credentials))
    else:
        host = address.rpartition(":")[0].strip("[]")
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"xds_server without certificates serves on loopback only, not on {address}")
        port = int(server.add_insecure_port(address))
    if port == 0:
        raise OSError(f"cannot bind {address}")
    return port


class _TlsFiles:
    """Certificates from files, read again when one of them is newer."""

    def __init__(self, certificate: Path, key: Path, ca: Path) -> None:
        self._files = (certificate, key, ca)
        self._seen: tuple[int, ...] = ()

    def _stamps(self) -> tuple[int, ...]:
        return tuple(f.stat().st_mtime_ns for f in self._files)

    def current(self) -> grpc.ServerCertificateConfiguration:
        self._seen = self._stamps()
        certificate, key, ca = (f.read_bytes() for f in self._files)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=ca)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """For gRPC at each handshake: the new configuration, or None for no change."""
        try:
            return self.current() if self._stamps() != self._seen else None
        except OSError as e:
            log.warning("certificates cannot be read; the old ones stay", error=str(e))
            return None
