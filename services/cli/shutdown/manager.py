"""The small server that Envoy's preStop hook waits on."""

from __future__ import annotations

import http.server
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from services.cli.shutdown import HEALTH_PATH, NOTE, POLL_SECONDS, PORT, READY_PATH


class Manager(http.server.ThreadingHTTPServer):
    """`ready_timeout` seconds after being asked it gives up (status 500), so that the pod ends whatever happens."""

    daemon_threads = False
    block_on_close = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, ready_timeout: float, port: int = PORT, note: Path = NOTE, poll: float = POLL_SECONDS) -> None:
        self.ready_timeout = ready_timeout
        self.note = note
        self.poll = poll
        super().__init__(("", port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def drained(self) -> bool:
        """Waits for the note; False if it does not come."""
        end = time.monotonic() + self.ready_timeout
        while not self.note.exists():
            if time.monotonic() > end:
                return False
            time.sleep(self.poll)
        return True


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Manager

    def do_GET(self) -> None:
        if self.path == READY_PATH:
            say("asked for the end of the drain")
            done = self.server.drained()
            say("drained" if done else "not drained in time")
            self._answer(200 if done else 500)
        else:
            self._answer(200 if self.path == HEALTH_PATH else 404)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Probes come every few seconds."""


def serve(ready_timeout: float) -> None:
    """Until SIGTERM; answers those who still wait."""
    # a note of an earlier life of this container would end the next Envoy at once
    NOTE.unlink(missing_ok=True)
    manager = Manager(ready_timeout)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: threading.Thread(target=manager.shutdown).start())
    say("serving")
    try:
        manager.serve_forever(poll_interval=0.2)
    finally:
        manager.server_close()


def say(text: str) -> None:
    print(f"shutdown-manager: {text}", file=sys.stdout, flush=True)
