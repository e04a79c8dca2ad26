"""One Gateway's resources as streams look at them: what is there, and what changed since a stream looked last."""

from __future__ import annotations

from collections.abc import Iterable

from services.xds_server.resources import Resource, ResourceChanges, TypeChanges

_LOG_LIMIT = 4096


def content_of(version: str) -> str:
    """The part of a resource's version that its content alone decides: replicas and restarts agree on it."""
    return version.rpartition("-")[2]


def ir_version_of(version: str, tag: str) -> int:
    """The IR version that a resource's version names, 0 where it is of another incarnation or not ours."""
    head, _, _ = version.rpartition("-")
    number, _, its_tag = head.partition(".")
    return int(number) if its_tag == tag and number.isdecimal() else 0


class View:
    """Resources by type and name. A resource's version is `<IR version>.<incarnation>-<content>`."""

    def __init__(self) -> None:
        self.version = 0
        self.tag = ""
        self.whole = False
        self.seq = 0
        self._resources: dict[str, dict[str, Resource]] = {}
        self._log: dict[str, list[tuple[int, str]]] = {}
        self._forgotten: dict[str, int] = {}

    def apply(self, version: int, tag: str, changed: ResourceChanges) -> None:
        """Takes the changes of an IR version; from the first call on the view is whole."""
        self.version, self.tag, self.whole = version, tag, True
        self.seq += 1
        for type_url, change in changed.items():
            held = self._resources.setdefault(type_url, {})
            log = self._log.setdefault(type_url, [])
            for name, resource in change.upserts.items():
                held[name] = resource._replace(version=f"{version}.{tag}-{resource.version}")
                log.append((self.seq, name))
            for name in change.removals:
                held.pop(name, None)
                log.append((self.seq, name))
            if len(log) > _LOG_LIMIT:
                cut = len(log) - _LOG_LIMIT // 2
                self._forgotten[type_url] = log[cut - 1][0]
                del log[:cut]

    def replace(self, version: int, tag: str, changed: ResourceChanges) -> None:
        """As `apply`, where the changes are all that there is: what they do not name is gone."""
        whole = dict(changed)
        for type_url, held in self._resources.items():
            change = whole.get(type_url, TypeChanges({}, frozenset()))
            whole[type_url] = change._replace(removals=change.removals | (held.keys() - change.upserts.keys()))
        self.apply(version, tag, whole)

    def get(self, type_url: str, name: str) -> Resource | None:
        return self._resources.get(type_url, {}).get(name)

    def names(self, type_url: str) -> Iterable[str]:
        return self._resources.get(type_url, {})

    def changed_since(self, type_url: str, seq: int) -> set[str] | None:
        """Names that changed after that seq; None where that is too long ago to know."""
        if seq < self._forgotten.get(type_url, 0):
            return None
        out: set[str] = set()
        for at, name in reversed(self._log.get(type_url, ())):
            if at <= seq:
                break
            out.add(name)
        return out
