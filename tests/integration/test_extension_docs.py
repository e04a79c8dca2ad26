"""docs/extension-servers.md as its reader meets it: the very server, configuration, objects and test that stand there."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.load import parse
from shared.testing.wait import until
from tests.integration.pipeline import Pipeline, echo, free_port

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extension-servers.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def test_from_nothing_to_a_working_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greeter, tests = blocks("python")
    configuration, objects = blocks("yaml")
    assert len((greeter + configuration).splitlines()) <= 50, "the page promises a small one"
    port = free_port()
    server = tmp_path / "greeter.py"
    server.write_text(greeter)
    assert configuration.count("5005") == 1
    process = await asyncio.create_subprocess_exec(sys.executable, str(server), f"127.0.0.1:{port}", cwd=tmp_path)
    config = parse(configuration.replace("5005", str(port)))
    (tmp_path / "p").mkdir()
    try:
        async with echo("echo") as backend, Pipeline(tmp_path / "p", config) as p:
            for file in (ROOT / "examples" / "quickstart").glob("*.yaml"):
                p.write(file.name, file.read_text().replace("8888", str(p.port)).replace("9380", str(backend)))
            p.write("greeting.yaml", objects)
            p.nats.start()
            p.start()

            async def greeted(words: str) -> bool:
                return bool((await p.get("/greeted")).headers.get("x-greeting") == words)

            await until(lambda: greeted("good morning"), 40)
            p.write("greeting.yaml", objects.replace("good morning", "good evening"))
            await until(lambda: greeted("good evening"), 20)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 10) == 0, "it ends as it is told"
            assert await greeted("good evening")

            command = [sys.executable, "-m", "services.cli.main", "tap", "hooks", "--last", "-n", "1", "-o", "json"]
            tap = await asyncio.create_subprocess_exec(*command, "--state-dir", str(p.layout.root), stdout=subprocess.PIPE)
            out, _ = await asyncio.wait_for(tap.communicate(), 20)
            (tmp_path / "recorded.jsonl").write_bytes(out)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "greeter"}
    exec(greeter + tests, names)  # it is our own page
    assert b"good evening" in out
    await names["test_greetings"]()  # type: ignore[operator]
