"""`headgate envoy …`: what runs beside an Envoy in its pod. The arguments are Envoy Gateway's, so that its users' patches fit.

Beside every proxy runs one of these, so nothing is imported but the standard library: 10 MB and a tenth of a second, not 50 and one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from shared.core import durations


def main(arguments: Sequence[str]) -> None:
    """Exits with 2 for arguments that cannot be meant."""
    given = _parser().parse_args(arguments)
    if given.command == "shutdown-manager":
        from services.cli.shutdown.manager import serve

        serve(given.ready_timeout)
        return
    from services.cli.shutdown.drain import Drain, drain

    drain(Drain(given.health_check_failure_delay, given.drain_timeout, given.min_drain_duration, given.exit_at_connections))


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="headgate envoy", description="What runs beside an Envoy in its pod.")
    commands = made.add_subparsers(dest="command", required=True)
    manager = commands.add_parser("shutdown-manager", help="hold up the end of the pod's Envoy until its connections are drained")
    manager.add_argument(
        "--ready-timeout", type=_seconds, default=610.0, help="longer than the drain, shorter than the pod's grace period (610s)"
    )
    shutdown = commands.add_parser("shutdown", help="drain the pod's Envoy: the preStop hook of the shutdown manager")
    for name, default, text in (
        ("--health-check-failure-delay", 0.0, "how long health checks still succeed while the drain has begun (0s)"),
        ("--drain-timeout", 60.0, "after this, connections that are left are cut off (60s)"),
        ("--min-drain-duration", 10.0, "time for everybody to learn that this Envoy takes nothing new (10s)"),
    ):
        shutdown.add_argument(name, type=_seconds, default=default, help=text)
    shutdown.add_argument("--exit-at-connections", type=int, default=0, help="so few open connections are few enough (0)")
    return made


def _seconds(text: str) -> float:
    try:
        return durations.parse(text) / 1e9
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e
