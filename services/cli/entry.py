"""Where the program begins: what must be small goes its own way before the command line with all its commands is loaded."""

from __future__ import annotations

import sys


def main() -> None:
    if sys.argv[1:2] == ["envoy"]:
        from services.cli import envoy

        envoy.main(sys.argv[2:])
        return
    from services.cli.main import main as everything

    everything()


if __name__ == "__main__":
    main()
