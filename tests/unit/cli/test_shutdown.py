"""What the drain does when, and the arguments of what stands beside an Envoy."""

from __future__ import annotations

import pytest

from services.cli import envoy
from services.cli.shutdown import drain as draining
from services.cli.shutdown import manager
from services.cli.shutdown.drain import Drain, Step, step

HOW = Drain(health_check_failure_delay=5, longest=60, least=10, enough=2)


@pytest.mark.parametrize(
    ("elapsed", "connections", "failing", "expected"),
    [
        (1, 0, False, Step(False, False)),
        (5, 9, False, Step(True, False)),
        (5, 9, True, Step(False, False)),
        (11, 3, True, Step(False, False)),
        (11, 2, True, Step(False, True)),
        (11, None, True, Step(False, False)),
        (61, 9, True, Step(False, True)),
        (61, None, True, Step(False, True)),
    ],
)
def test_a_drain_takes_as_long_as_connections_need(elapsed: float, connections: int | None, failing: bool, expected: Step) -> None:
    assert step(HOW, elapsed, connections, failing) == expected


def test_arguments_are_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(draining, "drain", given.append)
    monkeypatch.setattr(manager, "serve", given.append)
    envoy.main(["shutdown"])
    envoy.main(
        ["shutdown", "--drain-timeout=1m30s", "--min-drain-duration", "5s", "--health-check-failure-delay=1.5s", "--exit-at-connections=3"]
    )
    envoy.main(["shutdown-manager"])
    envoy.main(["shutdown-manager", "--ready-timeout=70s"])
    assert given == [Drain(), Drain(1.5, 90, 5, 3), 610, 70]


@pytest.mark.parametrize("arguments", [[], ["shutdown", "--drain-timeout=soon"], ["other"]])
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as e:
        envoy.main(arguments)
    assert e.value.code == 2
