"""Files come and go while they are looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.resource_watcher.providers.file import scan


def test_a_folder_that_goes_while_it_is_looked_at_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.yaml").write_text("")
    stat = os.stat

    def gone(path: Any, **how: Any) -> os.stat_result:
        if str(path).endswith("/a"):
            raise FileNotFoundError(path)
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", gone)
    assert [os.path.basename(p) for p, _ in scan.files(tmp_path)] == ["b.yaml"]
