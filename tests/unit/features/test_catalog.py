"""The catalogue and the rooms say the same."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import shared.features
from shared.features.catalog import FEATURES, FILTERS, hooks

ROOT = Path(shared.features.__file__).parent
ROOMS = sorted(
    f"{group.name}.{room.name}"
    for group in pkgutil.iter_modules([str(ROOT)])
    if group.ispkg and group.name != "parts"
    for room in pkgutil.iter_modules([str(ROOT / group.name)])
    if room.ispkg
)


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    assert sorted({feature.room for feature in FEATURES}) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_why_it_exists_and_can_be_entered(room: str) -> None:
    for module in pkgutil.iter_modules([str(ROOT / room.replace(".", "/"))]):
        assert importlib.import_module(f"shared.features.{room}.{module.name}").__doc__


def test_a_filter_has_one_place() -> None:
    for feature in FEATURES:
        for each in feature.filters:
            assert FILTERS[each.name] == each


def test_who_reads_anothers_ir_is_a_room() -> None:
    assert {reader for feature in FEATURES for reader in feature.read_by} <= set(ROOMS)


def test_hooks_are_found_by_name_in_the_order_of_the_rows() -> None:
    modules = [hook.__module__ for hook in hooks("xds", "per_route")]
    rows = list(dict.fromkeys(f"shared.features.{feature.room}.xds" for feature in FEATURES))
    assert modules == sorted(modules, key=rows.index)
    assert "shared.features.security.jwt.xds" in modules
    assert {m.split(".")[2] for m in (hook.__module__ for hook in hooks("xds", "services", "security"))} == {"security"}
    assert hooks("xds", "no_such_hook") == ()
