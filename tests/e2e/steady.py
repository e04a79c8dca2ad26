"""Steady traffic and steady edits, while something is done to the cluster: nothing may fail, and nothing may get lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.e2e.cluster import Cluster, until

RATE = 50
HOST = "www.example.com"


class Summary(msgspec.Struct):
    sent: int
    retried: int
    failed: list[tuple[float, str]]
    pods: dict[str, float]
    slowest: float


class Traffic:
    summary: Summary

    def __init__(self, cluster: Cluster, address: str) -> None:
        program = Path(__file__).with_name("traffic.py")
        command = cluster.reach(sys.executable, str(program), address, "80", HOST, str(RATE))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> Summary:
        self._process.send_signal(signal.SIGTERM)
        out, error = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, error
        return msgspec.json.decode(out, type=Summary)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


class Edits:
    """Sets one header of the quickstart's route, again and again, to a number that grows."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.last = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edits")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            number = self.last + 1
            try:
                edit(self.cluster, number)
            except subprocess.SubprocessError:
                continue  # the API server is away; the edit was not made, so it cannot get lost
            self.last = number


def edit(cluster: Cluster, number: int) -> None:
    header = [{"name": "x-edit", "value": str(number)}]
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": header}}]
    patch = [{"op": "add", "path": "/spec/rules/0/filters", "value": filters}]
    cluster.kubectl("patch", "httproute", "backend", "-n", "quickstart", "--type=json", "-p", json.dumps(patch), timeout=20)


def served_edit(cluster: Cluster, address: str) -> int:
    return int(cluster.curl(f"http://{address}/", headers={"Host": HOST}).headers.get("x-edit", 0))


@contextmanager
def nothing_fails(cluster: Cluster, address: str, *, retries: bool = False) -> Iterator[Traffic]:
    """Traffic and edits during the block. `retries`: connections may break, so that a client has to ask once more."""
    traffic, edits = Traffic(cluster, address), Edits(cluster)
    edits.last = served_edit(cluster, address)
    edits.start()
    try:
        yield traffic
        edits.end()
        until(lambda: served_edit(cluster, address) == edits.last, 60)
        summary = traffic.summary = traffic.end()
    finally:
        edits.end()
        traffic.kill()
    assert summary.sent > RATE
    assert summary.failed == []
    if not retries:
        assert summary.retried == 0
