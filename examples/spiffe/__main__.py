"""Shows all of it: `python -m examples.spiffe`. With SPIRE's programs on PATH it is the real one, else a plain server in its place."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from examples.spiffe import agents, spire
from examples.spiffe.show import NotSeen, show


async def _run(folder: Path, *, real: bool | None) -> None:
    programs = spire.programs()
    if real and programs is None:
        raise NotSeen("spire-server and spire-agent are not on PATH (see README.md)")
    if programs is not None and real is not False:
        print("identities: SPIRE")
        async with agents.spire(folder / "spire", programs) as agent:
            await show(folder, agent, print)
    else:
        print("identities: a plain server of secrets; with spire-server and spire-agent on PATH it would be SPIRE")
        async with agents.plain(folder) as agent:
            await show(folder, agent, print)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.spiffe", description="Backend mTLS with SPIFFE identities, end to end.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--spire", action="store_const", const=True, dest="real", help="with SPIRE or not at all")
    which.add_argument("--plain", action="store_const", const=False, dest="real", help="with the plain server, whatever there is")
    arguments = parser.parse_args()
    # a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="spiffe") as folder:
        try:
            asyncio.run(_run(Path(folder), real=arguments.real))
        except (NotSeen, spire.SpireFailed) as e:
            print(f"error: {e}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
