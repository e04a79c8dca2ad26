"""How the CLI prints: colours on a terminal only, JSON or YAML for machines, errors that say what to do next."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import Any, NoReturn

import typer
import yaml
from rich.console import Console

from shared.runtime.config import Logging

QUIET = Logging(level={"default": "error"})
"""Commands show results; what the bus has to say of its connection is for when something is wrong."""

if sys.stdout is None:  # closed by whoever started us: there is nobody to print to
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
if sys.stderr is None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115

_PAGE = None if sys.stdout.isatty() else 200


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """`headgate tap | head -1`: who listened has heard enough, which is no failure."""
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise typer.Exit(0)


out = _Console(highlight=False, soft_wrap=True, width=_PAGE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"


def emit(data: Any, form: Format) -> None:
    """Prints plain data for a machine."""
    if form is Format.yaml:
        print(yaml.safe_dump(data, sort_keys=False, explicit_start=isinstance(data, dict)), end="", flush=True)
    else:
        print(json.dumps(data, indent=None if isinstance(data, dict) and "subject" in data else 2), flush=True)


def fail(message: str, hint: str = "", code: int = 1) -> NoReturn:
    """Ends the command with an error and what to do about it."""
    err.print(f"[red]error:[/red] {_plain(message)}")
    if hint:
        err.print(f"[dim]{_plain(hint)}[/dim]")
    raise typer.Exit(code)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


plain = _plain
