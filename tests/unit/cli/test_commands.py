"""The command line where it needs nothing running: help, wrong arguments, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli import exits, status
from services.cli.main import app

run = CliRunner().invoke
COMMANDS = ("up", "serve", "tap", "status", "history", "diff", "certgen", "version", "probe", "example-backend", "crds")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = run(app, [command, "--help"])
    assert result.exit_code == 0
    assert "headgate" in result.output or command == "version"


def test_definitions_can_be_had_of_all_kinds_and_of_some() -> None:
    every = list(yaml.safe_load_all(run(app, ["crds"]).output))
    assert len({d["spec"]["names"]["kind"] for d in every}) == 8
    assert list(yaml.safe_load_all(run(app, ["crds", "Backend"]).output)) == [d for d in every if d["spec"]["names"]["kind"] == "Backend"]


def test_version_is_for_machines_too() -> None:
    result = run(app, ["version", "-o", "json"])
    assert json.loads(result.output)["headgate"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up", "/nowhere"], "/nowhere is not there"),
        (["serve", "nothing"], "there is no service 'nothing'"),
        (["serve", "translator", "--config-path", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["probe", "nonsense"], "no http address"),
        (["tap", "a b"], "is no NATS subject"),
        (["crds", "Gateway"], "there is no kind 'Gateway'"),
        (["tap", "ir..x"], "is no NATS subject"),
        (["probe", "http://[bad"], "no http address"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_is_wrong(words: list[str], says: str) -> None:
    result = run(app, words)
    assert result.exit_code == exits.USAGE
    assert says in result.output


def test_a_wrong_configuration_names_the_field(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("{gatewy: {}}")
    result = run(app, ["serve", "translator", "--config-path", str(file)])
    assert result.exit_code == exits.USAGE
    assert "gatewy: unknown field; expected one of: admin" in result.output


def test_certgen_keeps_what_is_there(tmp_path: Path) -> None:
    first = run(app, ["certgen", str(tmp_path)])
    assert "wrote" in first.output
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    again = run(app, ["certgen", str(tmp_path)])
    assert again.output == ""
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_health_is_no_bad_condition_no_problem_and_every_service_ready() -> None:
    good = {"services": [{"ready": True, "stuck": False}], "problems": [], "objects": {"a": [{"type": "Accepted", "status": "True"}]}}
    assert status.healthy(good)
    assert not status.healthy({**good, "services": [{"ready": True, "stuck": True}]})
    assert not status.healthy({**good, "problems": [{}]})
    assert not status.healthy({**good, "objects": {"a": [{"type": "Accepted", "status": "False"}]}})


@pytest.mark.parametrize("words", [["certgen"], ["up", ".", "--state-dir"]])
@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_made_is_an_error_and_no_traceback(tmp_path: Path, words: list[str], below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    result = run(app, [*words, str(file / below)])
    assert result.exit_code == exits.FAILED
    assert f"{file}" in result.output
    assert "cannot be written" in result.output


def test_nobody_to_print_to_is_no_error() -> None:
    command = f"exec {sys.executable} -m services.cli.main version >&-"
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=30).returncode == 0
