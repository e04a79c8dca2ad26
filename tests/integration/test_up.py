"""`headgate up` as a newcomer meets it, and the commands that look inside."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from services.cli import exits
from shared.testing.wait import until
from tests.integration.pipeline import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
HEADGATE = (sys.executable, "-m", "services.cli.main")


class Up:
    """A `headgate up` on a copy of the quickstart's files, listening at ports of its own."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "objects"
        self.state = root / "state"
        self.port = free_port()
        self.output = ""
        self._process: asyncio.subprocess.Process | None = None
        shutil.copytree(QUICKSTART, self.folder)
        self.backend_port = free_port()
        self.change("gateway.yaml", "8888", str(self.port))
        self.change("backend.yaml", "9380", str(self.backend_port))

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    async def start(self) -> None:
        ports = ("--nats-port", str(free_port()), "--backend-port", str(self.backend_port))
        argv = (*HEADGATE, "up", str(self.folder), "--state-dir", str(self.state), "--example-backend", *ports)
        self._process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        assert self._process.stdout is not None
        self.output = ""
        async with asyncio.timeout(45):
            while "Ctrl-C stops everything" not in self.output:
                line = await self._process.stdout.readline()
                assert line, f"it ended:\n{self.output}"
                self.output += line.decode()

    async def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            rest, _ = await self._process.communicate()
        self.output += rest.decode()
        assert self._process.returncode is not None
        return self._process.returncode

    def left_running(self) -> list[str]:
        """Command lines that name this state folder and are no zombies."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.state) in command:
                found.append(command)
        return found

    async def greeting(self) -> str:
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/")
            assert answer.json()["backend"] == "example"
            return str(answer.headers.get("x-greeting"))

    async def command(self, *words: str) -> tuple[int, str, str]:
        argv = (*HEADGATE, *words, "--state-dir", str(self.state))
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(20):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def data(self, *words: str) -> Any:
        code, out, err = await self.command(*words, "-o", "json")
        assert code == exits.OK, out + err
        return json.loads(out)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    made = Up(tmp_path_factory.mktemp("up"))
    await made.start()
    yield made
    assert await made.stop() == exits.OK
    assert made.left_running() == []


async def test_it_says_what_runs_and_where_to_look(up: Up) -> None:
    for line in (
        "✓ resource-watcher",
        "✓ translator",
        "✓ xds-server",
        "✓ infra-manager",
        f"curl -i http://127.0.0.1:{up.port}/",
        "headgate status",
    ):
        assert line in up.output
    assert "\x1b[" not in up.output, "no colours off a terminal"


async def test_a_saved_file_changes_the_answer(up: Up) -> None:
    assert await up.greeting() == "hello"
    up.change("route.yaml", "value: hello", "value: good evening")

    async def changed() -> bool:
        return await up.greeting() == "good evening"

    await until(changed)


async def test_a_second_up_on_the_same_folder_says_why_not(up: Up) -> None:
    code, _, err = await up.command("up", str(up.folder))
    assert code == exits.FAILED
    assert "in use by another 'headgate up'" in err


async def test_status_shows_services_gateways_and_problems(up: Up) -> None:
    found = await up.data("status")
    assert {s["service"] for s in found["services"]} == {"resource-watcher", "translator", "xds-server", "infra-manager"}
    assert all(s["ready"] and s["oldestChangeAgeSeconds"] < 5 for s in found["services"])
    assert found["gateways"]["default/quickstart"]["infrastructure"]["ready"] is True
    (up.folder / "bad.yaml").write_text("kind: [")

    async def told() -> bool:
        code, out, _ = await up.command("status")
        return code == exits.UNHEALTHY and "bad.yaml" in out

    await until(told)
    (up.folder / "bad.yaml").unlink()


async def test_status_files_are_where_users_read_them(up: Up) -> None:
    path = up.state / "status" / "gateway.networking.k8s.io" / "HTTPRoute" / "default" / "echo.yaml"

    def accepted() -> bool:
        conditions = yaml.safe_load(path.read_text())["status"]["parents"][0]["conditions"]
        return any(c["type"] == "Accepted" and c["status"] == "True" and c["lastTransitionTime"] for c in conditions)

    await until(accepted)


async def test_tap_shows_messages_as_json_lines(up: Up) -> None:
    code, out, err = await up.command("tap", "ir.>", "--last", "-n", "3", "-o", "json")
    assert code == exits.OK, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 3
    assert all(line["subject"].startswith("ir.") and isinstance(line["value"], dict) for line in lines)


async def test_history_and_diff_read_versions_back(up: Up) -> None:
    before = (await up.data("history", "quickstart"))[0]["version"]
    up.change(
        "route.yaml", "path:\n            type: PathPrefix\n            value: /", "path:\n            type: Exact\n            value: /"
    )

    async def newer() -> bool:
        return bool((await up.data("history", "quickstart"))[0]["version"] == before + 1)

    await until(newer)
    newest = (await up.data("history", "default/quickstart"))[0]
    assert any(c.startswith("HTTPRoute/default/echo@") for c in newest["causes"])
    (change,) = await up.data("diff", "quickstart", str(before), str(before + 1))
    assert change["shard"] == "http.http.HTTPRoute.default.echo"
    assert change["before"]["routes"][0]["pathMatch"] == {"prefix": "/"}
    assert change["after"]["routes"][0]["pathMatch"] == {"exact": "/"}
    code, out, _ = await up.command("diff", "quickstart", str(before), str(before))
    assert (code, out.strip()) == (exits.OK, f"Versions {before} and {before} of default/quickstart are the same.")


async def test_errors_say_what_to_do(up: Up) -> None:
    code, _, err = await up.command("history", "nowhere")
    assert code == exits.UNREACHABLE
    assert "default/quickstart" in err
    code, _, err = await up.command("diff", "quickstart", "1", "4711")
    assert code == exits.UNREACHABLE
    assert "headgate history" in err


async def test_it_ends_without_a_trace_and_starts_again_on_what_is_there(up: Up) -> None:
    before = (await up.data("history", "quickstart"))[0]["version"]
    assert await up.stop() == exits.OK
    assert "nothing is left running" in up.output
    assert up.left_running() == []
    await up.start()
    assert await up.greeting() == "good evening"
    assert (await up.data("history", "quickstart"))[0]["version"] == before, "nothing changed, so nothing was published"
