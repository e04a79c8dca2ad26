"""EnvoyPatchPolicies carried out on rendered resources: what one names is taken apart, changed, checked and put together again.

An operation that fails leaves its resource as it was, and is told; the others go on. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from services.xds_server.derive.hooks import place_of
from services.xds_server.render import checks
from services.xds_server.render.types import ENDPOINT, LISTENER, MESSAGES, SECRET, Need, Rendered, digest
from shared.core import jsonpatch, jsonpath
from shared.ir.patch import EnvoyPatchPolicy, JsonPatch, JsonPatchOperation, PatchShard
from shared.ir.status import PatchReport
from shared.xds.message import decode, from_json, to_json

SYSTEM_CA = "system_ca_certificates"
_TAKES_VALUE, _TAKES_FROM = ("add", "replace", "test"), ("move", "copy")

Base = Callable[[Need], Rendered | None]
"""A resource as it was rendered; None where there is none."""


class Patched(NamedTuple):
    """What patches make: contents by resource (None: under this name there is none any more), who touched what, how they fared."""

    resources: dict[Need, Rendered | None]
    touched: dict[str, frozenset[Need]]
    reports: dict[str, PatchReport]


class Patches:
    """The patches of one Gateway, and what they last came to. Nothing is done again unless something that they name is different."""

    def __init__(self) -> None:
        self._shards: dict[str, PatchShard] = {}
        self._in_play: frozenset[Need] = frozenset()
        self._last = Patched({}, {}, {})

    @property
    def reports(self) -> dict[str, PatchReport]:
        return self._last.reports

    def touching(self, need: Need) -> frozenset[str]:
        """Keys of the shards that changed a resource."""
        return frozenset(key for key, needs in self._last.touched.items() if need in needs)

    def take(self, rows: Mapping[str, PatchShard | None]) -> None:
        """New contents of shards; the next `over` carries them out."""
        for key, row in rows.items():
            if row is not None:
                self._shards[key] = row
            else:
                self._shards.pop(key, None)

    def over(self, moved: Mapping[Need, Rendered | None], base: Base, *, anew: bool) -> dict[Need, Rendered | None]:
        """What moved, as it is after the patches; `anew`: the patches themselves are different."""
        if not anew and self._in_play.isdisjoint(moved):
            return dict(moved)
        before = self._in_play
        ordered = sorted(self._shards.items(), key=lambda item: item[1].order)
        self._last = patched([(key, shard.policy) for key, shard in ordered], base)
        self._in_play = named(shard.policy for _, shard in ordered) | self._last.resources.keys()
        final = self._last.resources
        return {**moved, **{need: final[need] if need in final else base(need) for need in before | self._in_play}}


class _Absent(Exception):
    """The resource to patch is not there."""


def named(policies: Iterable[EnvoyPatchPolicy]) -> frozenset[Need]:
    """The resources that patches name, whether they are there or not."""
    return frozenset((patch.type, patch.name) for policy in policies for patch in policy.json_patches if patch.type in MESSAGES)


def patched(policies: Iterable[tuple[str, EnvoyPatchPolicy]], base: Base) -> Patched:
    """Carries out policies, given with their shards' keys, in this order."""
    work = _Work(base)
    reports: dict[str, PatchReport] = {}
    touched: dict[str, set[Need]] = defaultdict(set)
    for key, policy in policies:
        faults: list[str] = []
        missing: list[str] = []
        for patch in policy.json_patches:
            try:
                touched[key].update(work.carry_out(patch))
            except _Absent:
                missing.append(f"{patch.type}/{patch.name}")
            except Exception as e:
                # whatever a patch makes of a resource, it costs that patch
                faults.append(str(e) if isinstance(e, ValueError) else f"{type(e).__name__}: {e}")
        generation, ref = policy.generation, f"{policy.namespace}/{policy.name}"
        reports[ref] = PatchReport(generation=generation, faults=tuple(faults), missing=tuple(missing))
    return Patched(work.changed, {key: frozenset(needs) for key, needs in touched.items()}, reports)


class _Work:
    """Resources under change; it never leaves `patched`."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self.changed: dict[Need, Rendered | None] = {}

    def _current(self, need: Need) -> Rendered | None:
        return self.changed[need] if need in self.changed else self._base(need)

    def carry_out(self, patch: JsonPatch) -> tuple[Need, ...]:
        """The resources that the patch changed; ValueError says why it did not."""
        operation = patch.operation
        _well_formed(operation)
        if patch.type not in MESSAGES:
            raise ValueError(f"unsupported patch type {patch.type}")
        if operation.op == "add" and not operation.path and not operation.json_path:
            return (self._put(patch.type, operation.value, None),)
        need = (patch.type, patch.name)
        before = self._current(need)
        if before is None:
            raise _Absent
        if need == (SECRET, SYSTEM_CA):
            raise ValueError(f"secret {SYSTEM_CA} is the system's trust store and cannot be patched")
        document = to_json(decode(MESSAGES[patch.type], before.body), proto_names=True)
        after = self._put(patch.type, _applied(document, operation), before)
        if after != need:
            self.changed[need] = None
        return tuple(dict.fromkeys((need, after)))

    def _put(self, type_url: str, value: Any, before: Rendered | None) -> Need:
        """Takes a resource that Envoy would take, too."""
        if not isinstance(value, dict):
            raise ValueError(f"the value is no resource of type {type_url}")
        message: Any = from_json(MESSAGES[type_url], value)
        name = message.cluster_name if type_url == ENDPOINT else message.name
        if (type_url, name) == (SECRET, SYSTEM_CA):
            raise ValueError(f"secret name {SYSTEM_CA} is the system's trust store's and cannot be used by others")
        body = message.SerializeToString(deterministic=True)
        if (fault := checks.found(MESSAGES[type_url], body)) is not None:
            raise ValueError(f"validation failed for xds resource {type_url}: {fault}")
        needs = before.needs if before is not None else ()
        self.changed[type_url, name] = Rendered(f"{digest(body):032x}", body, needs, place_of(message) if type_url == LISTENER else "")
        return type_url, name


def _well_formed(operation: JsonPatchOperation) -> None:
    op, has_value, has_from = operation.op, operation.value is not msgspec.UNSET, operation.from_ is not None
    if operation.path is None and operation.json_path is None:
        raise ValueError("a patch operation must specify a path or jsonPath")
    if op not in (*_TAKES_VALUE, *_TAKES_FROM, "remove"):
        raise ValueError(f"unsupported JSONPatch operation {op}")
    for field, given, takes in (("value", has_value, op in _TAKES_VALUE), ("from", has_from, op in _TAKES_FROM)):
        if given is not takes:
            raise ValueError(f"the {op} operation {'requires' if takes else 'does not take'} a {field}")


def _applied(document: dict[str, Any], operation: JsonPatchOperation) -> Any:
    """The document patched, as a whole or with an error."""
    plain: dict[str, Any] = {"op": operation.op, "from": operation.from_}
    if operation.value is not msgspec.UNSET:
        plain["value"] = operation.value
    return jsonpatch.consume(document, [plain | {"path": path} for path in _paths(document, operation)])


def _paths(document: dict[str, Any], operation: JsonPatchOperation) -> list[str]:
    path = operation.path or ""
    if operation.json_path is None:
        return [path]
    if operation.json_path == "$":
        raise ValueError("a jsonPath of nothing but the root is not allowed")
    # an empty one means nothing, not everything
    found = jsonpath.pointers(operation.json_path, document) if operation.json_path else []
    if not found:
        raise ValueError(f"no place in the resource is meant by jsonPath {operation.json_path!r}; what is to be added there stands in path")
    # what is taken out of a list must not move what is to be taken out of it next
    at = reversed(found) if operation.op == "remove" else found
    return [f"{pointer}/{path.removeprefix('/')}" if path else pointer for pointer in at]
