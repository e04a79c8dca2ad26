"""`python -m tests.golden.floor`: raises the floor to what agrees now. It never lowers it."""

from __future__ import annotations

import json
import sys
import warnings

from tests.golden import adapter, measure


def main() -> int:
    cases = measure.golden()
    if cases is None:
        print(f"no reference cases at {measure.CASES}")
        return 1
    warnings.simplefilter("ignore")
    floor = measure.floor() if measure.FLOOR.exists() else {}
    for kind in measure.KINDS:
        counts, _ = measure.count(kind, cases, adapter)
        before = floor.get(kind, {})
        lowered = {aspect: f"{counts.get(aspect, 0)} < {n}" for aspect, n in before.items() if counts.get(aspect, 0) < n}
        print(f"{kind:22}", "  ".join(f"{a} {n}" for a, n in counts.items()), f"BELOW THE FLOOR: {lowered}" if lowered else "")
        if not lowered:  # a crash everywhere "agrees" with the cases that want an error: that must not become a floor
            floor[kind] = counts
    measure.FLOOR.write_text(json.dumps(floor, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
