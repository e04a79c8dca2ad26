"""The kustomize base as data: what tests of the installation look at."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy" / "k8s"
CHART = DEPLOY / "chart"


@cache
def documents() -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load_all((DEPLOY / "base" / "install.yaml").read_text()))


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    """By name."""
    return {d["metadata"]["name"]: d for d in documents() if d["kind"] in kinds}


def workloads() -> dict[str, dict[str, Any]]:
    return of_kind("Deployment", "StatefulSet", "Job")


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = workloads()[name]["spec"]["template"]["spec"]
    return spec
