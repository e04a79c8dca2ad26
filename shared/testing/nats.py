"""The real nats-server for tests: on a port of its own choosing, to be killed and restarted there, with its disk or without."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from shared.bus.server_config import render
from shared.runtime.binaries import find


class NatsServer:
    """`start()`, `kill()` (SIGKILL), `stop()`, `restart(wipe=...)`; `url` is stable once it was started (or reserved)."""

    def __init__(
        self,
        directory: Path,
        *,
        user: str = "",
        password: str = "",
        tls: tuple[str, str, str] | None = None,
        own_permissions: bool = False,
    ) -> None:
        self._directory = directory
        self._store = directory / "store"
        self._user, self._password, self._tls = user, password, tls
        self._own_permissions = own_permissions
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self._directory / "nats.log").read_text()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def reserve(self) -> str:
        """A URL at which the server will listen when it is started, later."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        return self.url

    def start(self, deadline: float = 10.0) -> NatsServer:
        """Returns when it accepts connections."""
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "nats.conf"
        text = render(
            store_dir=str(self._store),
            port=self.port or -1,
            name="test",
            user=self._user,
            password=self._password,
            tls=self._tls,
            own_permissions=self._own_permissions,
        )
        config.write_text(text)
        for stale in self._directory.glob("*.ports"):
            stale.unlink()
        with (self._directory / "nats.log").open("ab") as log:
            command = [str(find("nats-server")), "-c", str(config), "--ports_file_dir", str(self._directory)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + deadline
        while time.monotonic() < end and self.running:
            for file in self._directory.glob("*.ports"):
                try:
                    self.port = int(json.loads(file.read_text())["nats"][0].rsplit(":", 1)[1])
                    with socket.create_connection(("127.0.0.1", self.port), 1):
                        return self
                except (OSError, ValueError, KeyError):
                    pass
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"nats-server did not start:\n{self.log}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self, *, wipe: bool = False) -> NatsServer:
        self.kill()
        if wipe:
            shutil.rmtree(self._store, ignore_errors=True)
        return self.start()

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(how)
            self._process.wait(10)
            self._process = None
