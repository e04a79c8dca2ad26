"""The reference cases: no change may lose agreement that was reached. `python -m tests.golden.floor` raises the floor."""

from __future__ import annotations

import pytest

from tests.golden import adapter, measure

CASES = measure.golden()
pytestmark = [
    pytest.mark.skipif(CASES is None, reason="the reference cases are not beside the project"),
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
    pytest.mark.timeout(300),
]


@pytest.mark.parametrize("kind", measure.KINDS)
def test_agreement_never_falls(kind: str) -> None:
    assert CASES is not None
    counts, differences = measure.count(kind, CASES, adapter)
    lost = {aspect: (counts.get(aspect, 0), n) for aspect, n in measure.floor().get(kind, {}).items() if counts.get(aspect, 0) < n}
    assert not lost, f"fewer cases agree than before (now, floor): {lost}; disagreeing: {sorted(differences)}"


def test_deviations_name_real_cases_and_reasons() -> None:
    assert CASES is not None
    names = {f"{kind}/{case['name']}" for kind in measure.KINDS for case in CASES.cases(kind)}
    for case, reason in measure.deviations().items():
        assert case in names
        assert reason
