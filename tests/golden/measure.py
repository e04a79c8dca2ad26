"""How far Headgate agrees with the reference cases, counted per kind and aspect. The cases stay where they stand, outside the project."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

HERE = Path(__file__).parent
CASES = HERE.parents[1].parent / "shared" / "golden"
FLOOR = HERE / "floor.json"
DEVIATIONS = HERE / "deviations.yaml"
KINDS = ("translate", "translate-extensions", "xds", "ratelimit")

Counts = dict[str, int]


def golden() -> ModuleType | None:
    """The cases' own loader and comparison; None where they are absent."""
    path = CASES / "golden.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("golden_cases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deviations() -> dict[str, str]:
    """`<kind>/<case>` -> why we decided to behave differently there."""
    return {each["case"]: each["reason"] for each in yaml.safe_load(DEVIATIONS.read_text()) or []}


def count(kind: str, cases: ModuleType, adapter: Any) -> tuple[Counts, dict[str, dict[str, list[str]]]]:
    """Agreeing cases by aspect ('whole': in every aspect), and what disagrees."""
    agree: Counter[str] = Counter()
    differences: dict[str, dict[str, list[str]]] = {}
    for case in cases.cases(kind):
        try:
            result: dict[str, list[str]] = cases.run(kind, case, adapter)
        except Exception as e:  # a crash is a disagreement in every aspect
            result = {aspect: [f"{type(e).__name__}: {e}"] for aspect in case["expect"]}
        agree.update(aspect for aspect, found in result.items() if not found)
        if any(result.values()):
            differences[case["name"]] = result
        else:
            agree["whole"] += 1
    return dict(sorted(agree.items())), differences


def floor() -> dict[str, Counts]:
    found: dict[str, Counts] = json.loads(FLOOR.read_text())
    return found
