"""Which objects a set of files gives. Pure, and a change of one document costs that document.

An object that stands in several places is taken from the first (by path, then position) and reported at the others. What stood in a
document that can no longer be read is kept as it was last read: a half-written file or a typo takes nothing away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from services.resource_watcher.provider import Problem
from services.resource_watcher.stages import documents, objects
from services.resource_watcher.stages.documents import Document, DocumentError
from services.resource_watcher.stages.objects import Identified, ObjectError
from shared.core.kinds import KINDS, Kinds
from shared.core.refs import ObjectRef


class Claim(NamedTuple):
    """Where an object stands; `kept` over from an earlier text of the file."""

    path: str
    kept: bool


class _Parsed(NamedTuple):
    found: tuple[Identified, ...]
    problems: tuple[Problem, ...]


class _File(NamedTuple):
    documents: Mapping[bytes, _Parsed]
    claims: Mapping[ObjectRef, Claim]
    problems: tuple[Problem, ...]


class FileSet:
    """`put` and `drop` tell which objects may have changed; `get` what an object is now."""

    def __init__(self, kinds: Kinds = KINDS) -> None:
        self._kinds = kinds
        self._files: dict[str, _File] = {}
        self._broken: set[str] = set()
        self._shadowing: set[ObjectRef] = set()
        self._claims: dict[ObjectRef, dict[Claim, dict[str, Any]]] = {}

    def put(self, path: str, text: str) -> set[ObjectRef]:
        """A file's whole text. Returns the objects that it touches, before or now."""
        old = self._files.get(path)
        parsed: dict[bytes, _Parsed] = {}
        problems: list[Problem] = []
        broken = False
        now: dict[ObjectRef, Identified] = {}
        taken: set[ObjectRef] = set()
        for document in documents.split(text):
            result = (old.documents.get(document.digest) if old else None) or parsed.get(document.digest) or self._parse(path, document)
            if not result.problems:  # a problem names its line, which may move
                parsed[document.digest] = result
            broken = broken or bool(result.problems)
            problems += result.problems
            for each in result.found:
                if each.ref in taken:
                    problems.append(Problem(path, f"{each.ref} stands twice in this file; the first is taken", _name(each.ref)))
                    continue
                taken.add(each.ref)
                now[each.ref] = each
        claims = dict.fromkeys(now, Claim(path, False))
        kept = self._kept(old, taken) if broken else []
        for each in kept:
            now[each.ref] = each
        return self._replace(path, old, _File(parsed, claims | {e.ref: Claim(path, True) for e in kept}, tuple(problems)), now)

    def fail(self, path: str, message: str) -> set[ObjectRef]:
        """The file cannot be read: its objects stay, the problem is told."""
        old = self._files.get(path) or _File({}, {}, ())
        self._files[path] = old._replace(problems=(Problem(path, message),))
        self._broken.add(path)
        return set()

    def drop(self, path: str) -> set[ObjectRef]:
        """The file is gone."""
        old = self._files.pop(path, None)
        return self._replace(path, old, None, {}) if old else set()

    def get(self, ref: ObjectRef) -> tuple[dict[str, Any], str] | None:
        """The object and its file, or None if it stands nowhere."""
        claims = self._claims.get(ref)
        if not claims:
            return None
        first = min(claims)
        return claims[first], first.path

    def __contains__(self, path: str) -> bool:
        return path in self._files

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self._files)

    @property
    def unknown(self) -> frozenset[str]:
        """Files of which something could not be read."""
        return frozenset(self._broken)

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong now, in the order of the files."""
        shadowed = (
            Problem(c.path, f"{ref} stands in {min(claims).path} too; that one is taken", _name(ref))
            for ref in self._shadowing
            for claims in (self._claims[ref],)
            for c in sorted(claims)[1:]
        )
        return tuple(sorted((*(p for path in self._broken for p in self._files[path].problems), *shadowed)))

    def refs(self) -> Iterable[ObjectRef]:
        return self._claims.keys()

    def _kept(self, old: _File | None, taken: set[ObjectRef]) -> list[Identified]:
        if old is None:
            return []
        return [Identified(ref, self._claims[ref][claim]) for ref, claim in old.claims.items() if ref not in taken]

    def _replace(self, path: str, old: _File | None, new: _File | None, now: Mapping[ObjectRef, Identified]) -> set[ObjectRef]:
        touched: set[ObjectRef] = set()
        for ref, claim in (old.claims if old else {}).items():
            if new is None or new.claims.get(ref) != claim:
                del self._claims[ref][claim]
                touched.add(ref)
                if not self._claims[ref]:
                    del self._claims[ref]
        for ref, each in now.items():
            claims = self._claims.setdefault(ref, {})
            claim = new.claims[ref] if new else Claim(path, False)
            if claims.get(claim) is not each.object:
                claims[claim] = each.object
                touched.add(ref)
        if new is not None:
            self._files[path] = new
        (self._broken.add if new is not None and new.problems else self._broken.discard)(path)
        for ref in touched:
            (self._shadowing.add if len(self._claims.get(ref, ())) > 1 else self._shadowing.discard)(ref)
        return touched

    def _parse(self, path: str, document: Document) -> _Parsed:
        try:
            raws = documents.parse(document)
        except DocumentError as e:
            return _Parsed((), (Problem(path, f"document at line {document.line}: {e}"),))
        found: list[Identified] = []
        problems: list[Problem] = []
        for raw in raws:
            try:
                found.append(objects.identify(raw, self._kinds))
            except ObjectError as e:
                problems.append(Problem(path, f"document at line {document.line}: {e}", _label(raw)))
        return _Parsed(tuple(found), tuple(problems))


def _label(raw: Mapping[str, Any]) -> str:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{raw.get('kind') or '?'}/{name or '?'}"


def _name(ref: ObjectRef) -> str:
    return str(ref)
