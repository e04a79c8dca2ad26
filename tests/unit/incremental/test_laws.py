"""The engine's laws over random edit sequences: incremental equals from-scratch, and work follows the changed cone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.incremental import ABSENT, AnyOf, Collection, Count, CycleError, Db, MinBy, Pending, SortedBy, SumOf, Table, fold, query

NUMBERS: Table[int, int] = Table("numbers")
LINKS: Table[int, tuple[int, ...]] = Table("links")
ASKED: Table[int, int] = Table("asked", wanted=True)
BY_REST = NUMBERS.index("rest", lambda _, row: (row % 3,))


@query
def doubled(db: Db, key: int) -> int:
    value = db.get(NUMBERS, key)
    if value == 13:
        raise ValueError(f"unlucky {key}")
    return 2 * (value or 0)


@query
def linked(db: Db, key: int) -> int:
    return sum(doubled(db, k) for k in db.get(LINKS, key) or ())


@query
def chained(db: Db, key: int) -> int:
    """May run into itself through links, and then is a cycle."""
    links = db.get(LINKS, key) or ()
    return 1 + (chained(db, links[0]) if links and (db.get(NUMBERS, key) or 0) % 2 else 0)


@query
def peers(db: Db, key: int) -> int:
    return len(db.keys(BY_REST, (db.get(NUMBERS, key) or 0) % 3))


@query
def answered(db: Db, key: int) -> int:
    return (db.get(ASKED, key) or 0) + 1


def sums(db: Db, key: int) -> Mapping[str, int]:
    total = linked(db, key)
    return {f"sum{key}": total, f"class{total % 4}": key}


SUMS: Collection[str, int] = Collection("sums", source=LINKS, fn=sums)
SIZE = fold(SUMS, "size", Count())
LEAST = fold(SUMS, "least", MinBy[int](lambda v: -v))
ORDER = fold(SUMS, "order", SortedBy[int](lambda v: (v % 2, v)))
TOTAL = fold(SUMS, "total", SumOf())
SOME = fold(SUMS, "some", AnyOf())


def classes(db: Db, out: str) -> Mapping[str, tuple[object, ...]]:
    return {
        out: (
            db.fold(SIZE, out),
            db.fold(LEAST, out),
            db.fold(ORDER, out),
            db.fold(TOTAL, out),
            db.fold(SOME, out),
            tuple(db.group(SUMS, out)),
        )
    }


CLASSES: Collection[str, tuple[object, ...]] = Collection("classes", source=SUMS, fn=classes)


def leaf(db: Db, key: int) -> Mapping[tuple[str, int], object]:
    out: dict[tuple[str, int], object] = {("peers", key): peers(db, key), ("of class 1", key): db.fold(SIZE, "class1")}
    try:
        out["chain", key] = chained(db, key)
    except CycleError:
        out["chain", key] = "cycle"
    return out


LEAVES: Collection[tuple[str, int], object] = Collection("leaves", source=NUMBERS, fn=leaf)
ANSWERS: Collection[int, int] = Collection("answers", source=NUMBERS, fn=lambda db, key: {key: answered(db, key)})
OUTPUTS: tuple[Collection[Any, Any], ...] = (SUMS, CLASSES, LEAVES, ANSWERS)

keys = st.integers(0, 6)
edit = st.one_of(
    st.tuples(st.just(NUMBERS), keys, st.none() | st.integers(0, 20)),
    st.tuples(st.just(LINKS), keys, st.none() | st.tuples(keys) | st.tuples(keys, keys) | st.just(())),
    st.tuples(st.just(ASKED), keys, st.integers(0, 5)),
)


def snapshot(db: Db, collection: Collection[Any, Any]) -> dict[Any, Any]:
    return {out: (dict(db.group(collection, out))) for out in list(db._collections[collection].groups)}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(edit, max_size=4), max_size=12))
@example([[(NUMBERS, 0, 1), (LINKS, 0, (0,))], [(NUMBERS, 0, 0)]])
@example([[(NUMBERS, 0, 1), (NUMBERS, 1, 1), (LINKS, 0, (1,)), (LINKS, 1, (0,))], [(NUMBERS, 1, 0)], [(NUMBERS, 1, 1)], [(NUMBERS, 0, 0)]])
def test_incremental_equals_from_scratch(batches: list[list[tuple[Table[int, Any], int, object]]]) -> None:
    db = Db(OUTPUTS)
    held: dict[Table[int, Any], dict[int, object]] = {}
    seen: dict[Collection[Any, Any], dict[Any, Any]] = {c: {} for c in OUTPUTS}
    for batch in batches:
        for table, key, row in batch:
            db.apply({table: {key: row}})
            held.setdefault(table, {})[key] = row
        db.settle()
        fresh = Db(OUTPUTS)
        fresh.apply(held)
        fresh.settle()
        for collection in (SUMS, CLASSES, LEAVES):
            assert snapshot(db, collection) == snapshot(fresh, collection)
            assert db.failures(collection).keys() == fresh.failures(collection).keys()
        assert db.pending(ANSWERS) == fresh.pending(ANSWERS)
        assert db.wants() == fresh.wants()
        for output in OUTPUTS:
            drained: dict[Any, Any] = db.drain(output)
            for out, (old, new) in drained.items():
                assert seen[output].get(out, ABSENT) == old
                if new is ABSENT:
                    del seen[output][out]
                else:
                    seen[output][out] = new


def test_work_follows_the_changed_cone_not_the_number_of_rows() -> None:
    def work(rows: int) -> int:
        db = Db((SUMS, CLASSES))
        db.apply({NUMBERS: dict.fromkeys(range(rows), 1), LINKS: {k: (k,) for k in range(rows)}})
        db.settle()
        db.evaluations.clear()
        db.apply({NUMBERS: {5: 2}})
        db.settle()
        return db.evaluations.total()

    assert work(20) == work(2000)


def test_an_equal_result_stops_recomputation() -> None:
    db = Db((SUMS,))
    db.apply({NUMBERS: {1: 3, 2: 4}, LINKS: {0: (1, 2)}})
    db.settle()
    db.evaluations.clear()
    db.apply({NUMBERS: {1: 4, 2: 3}})
    db.settle()
    assert db.evaluations["linked"] == 1
    assert db.evaluations["sums"] == 0
    db.apply({NUMBERS: {1: 4}})
    db.settle()
    assert db.evaluations["linked"] == 1


def test_an_index_records_membership_never_rows() -> None:
    db = Db((LEAVES,))
    db.apply({NUMBERS: {1: 3, 2: 6}})
    db.settle()
    db.evaluations.clear()
    db.apply({NUMBERS: {2: 9}})
    db.settle()
    assert db.evaluations["peers"] == 1


def test_a_pending_member_keeps_its_outputs_until_it_is_answered() -> None:
    db = Db((ANSWERS,))
    db.apply({NUMBERS: {1: 1}})
    db.settle()
    assert db.drain(ANSWERS) == {}
    assert db.pending(ANSWERS) == {1}
    assert db.wants() == {(ASKED, 1)}
    db.apply({ASKED: {1: None}})
    db.settle()
    assert db.drain(ANSWERS) == {1: (ABSENT, 1)}
    db.apply({NUMBERS: {1: None}})
    db.settle()
    assert db.wants() == frozenset()
    db.apply({NUMBERS: {1: 1}})
    db.settle()
    assert db.pending(ANSWERS) == {1}, "an absence that nobody followed must be asked for again"


def test_a_failing_member_costs_its_own_outputs_alone() -> None:
    db = Db((SUMS,))
    db.apply({NUMBERS: {1: 1, 2: 2}, LINKS: {1: (1,), 2: (2,)}})
    db.settle()
    db.apply({NUMBERS: {1: 13}})
    db.settle()
    assert {type(e) for e in db.failures(SUMS).values()} == {ValueError}
    assert db.group(SUMS, "sum2") == {2: 4}
    assert db.group(SUMS, "sum1") == {}
    db.apply({NUMBERS: {1: 4}})
    db.settle()
    assert db.failures(SUMS) == {}
    assert db.group(SUMS, "sum1") == {1: 8}


def test_a_cycle_fails_with_its_path_and_heals() -> None:
    db = Db()
    db.apply({NUMBERS: {1: 1, 2: 1}, LINKS: {1: (2,), 2: (1,)}})
    with pytest.raises(CycleError) as caught:
        chained(db, 1)
    assert caught.value.path == ("chained(1)", "chained(2)", "chained(1)")
    db.apply({LINKS: {2: ()}})
    assert chained(db, 1) == 2


def test_a_collection_that_reads_its_own_group_is_a_cycle() -> None:
    own: Collection[int, int] = Collection("own", source=NUMBERS, fn=lambda db, key: {key: len(db.group(own, key))})
    db = Db((own,))
    db.apply({NUMBERS: {1: 1}})
    db.settle()
    assert isinstance(db.failures(own)[1], CycleError)


def test_provenance_names_the_rows_behind_an_output() -> None:
    db = Db((SUMS,))
    db.apply({NUMBERS: {1: 1, 2: 2}, LINKS: {0: (1, 2)}})
    db.settle()
    assert db.provenance(SUMS, "sum0") == {(LINKS, 0), (NUMBERS, 1), (NUMBERS, 2)}


def test_provenance_goes_through_groups() -> None:
    doubled: Collection[str, int] = Collection("doubled", source=NUMBERS, fn=lambda db, key: {f"d{key}": 2 * (db.get(NUMBERS, key) or 0)})
    shown: Collection[int, int] = Collection("shown", source=LINKS, fn=lambda db, key: {key: sum(db.group(doubled, "d1").values())})
    db = Db((shown,))
    db.apply({NUMBERS: {1: 1, 2: 2}, LINKS: {0: ()}})
    db.settle()
    assert db.provenance(shown, 0) == {(NUMBERS, 1)}


def test_what_nothing_reads_is_forgotten() -> None:
    db = Db((SUMS,))
    for n in range(50):
        db.apply({NUMBERS: {n: n}, LINKS: {0: (n,)}})
        db.settle()
    assert len(db._memos) == 2
    assert len(db._rows[NUMBERS].cells) == 1


def test_pending_is_an_error_that_names_the_row() -> None:
    with pytest.raises(Pending) as caught:
        answered(Db(), 7)
    assert (caught.value.table, caught.value.key) == ("asked", 7)
