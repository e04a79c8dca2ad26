"""Files to objects, with the mistakes that people make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.resource_watcher.stages.fileset import FileSet
from shared.core.refs import ObjectRef


def service(name: str, value: int = 0) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  value: {value}\n"


def ref(name: str) -> ObjectRef:
    return ObjectRef("", "Service", "default", name)


def value(files: FileSet, name: str) -> int | None:
    found = files.get(ref(name))
    return found[0]["spec"]["value"] if found else None


def test_a_changed_document_touches_its_object_alone() -> None:
    files = FileSet()
    assert files.put("f", service("a") + "---\n" + service("b")) == {ref("a"), ref("b")}
    assert files.put("f", service("a", 1) + "---\n" + service("b")) == {ref("a")}
    assert files.put("f", service("new") + "---\n" + service("a", 1) + "---\n" + service("b")) == {ref("new")}
    assert files.put("f", service("b")) == {ref("new"), ref("a")}
    assert value(files, "a") is None


def test_a_broken_document_takes_nothing_away_and_is_told() -> None:
    files = FileSet()
    files.put("f", service("a") + "---\n" + service("b"))
    assert files.put("f", service("a", 5) + "---\nkind: [") == {ref("a"), ref("b")}
    assert (value(files, "a"), value(files, "b")) == (5, 0)
    assert files.unknown == {"f"}
    assert "not valid YAML" in files.problems()[0].message
    files.put("f", service("a", 5))
    assert value(files, "b") is None
    assert files.problems() == ()


def test_an_unreadable_file_keeps_its_objects() -> None:
    files = FileSet()
    files.put("f", service("a"))
    assert files.fail("f", "no permission") == set()
    assert value(files, "a") == 0
    assert [p.message for p in files.problems()] == ["no permission"]


def test_the_same_object_in_two_files_is_taken_from_the_first_and_told_at_the_other() -> None:
    files = FileSet()
    files.put("z", service("a", 1))
    files.put("b", service("a", 2))
    assert value(files, "a") == 2
    assert [(p.where, p.object) for p in files.problems()] == [("z", "Service/default/a")]
    files.drop("b")
    assert value(files, "a") == 1
    assert files.problems() == ()


def test_the_same_object_twice_in_one_file_is_told() -> None:
    files = FileSet()
    files.put("f", service("a", 1) + "---\n" + service("a", 2))
    assert value(files, "a") == 1
    assert "twice" in files.problems()[0].message


names = st.sampled_from("abc")
texts = st.lists(st.tuples(names, st.integers(0, 3)), max_size=4).map(lambda rows: "---\n".join(service(n, v) for n, v in rows))


@given(st.lists(st.tuples(st.sampled_from(["f", "g", "h"]), st.none() | texts), max_size=12))
def test_any_history_of_good_files_ends_as_a_fresh_reading_does(history: list[tuple[str, str | None]]) -> None:
    files = FileSet()
    last: dict[str, str] = {}
    for path, text in history:
        if text is None:
            files.drop(path)
            last.pop(path, None)
        else:
            files.put(path, text)
            last[path] = text
    fresh = FileSet()
    for path, text in last.items():
        fresh.put(path, text)
    assert {r: files.get(r) for r in files.refs()} == {r: fresh.get(r) for r in fresh.refs()}
    assert files.problems() == fresh.problems()
