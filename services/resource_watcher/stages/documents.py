"""Text to objects: YAML or JSON documents, each parsed alone, so that one bad document costs itself only. Pure.

YAML is read as Kubernetes reads it: only true and false are booleans, dates stay text, a key given twice is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import yaml

MAX_FILE = 64 * 1024 * 1024
MAX_OBJECT = 1536 * 1024
"""Bytes of one object: what etcd, and so Kubernetes, would take."""

_SEPARATOR = re.compile(r"^---(?:[ \t].*)?\r?$", re.MULTILINE)
_MAX_NODES = 400_000


class DocumentError(ValueError):
    pass


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rx) for tag, rx in rules if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable) or key in out:
            raise DocumentError(f"line {key_node.start_mark.line + 1}: the key {key!r} stands twice or is no text")
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _unknown_tag(_: Any, node: yaml.Node) -> Any:
    """Says where, not what: a value that begins with '!' may be a password."""
    raise DocumentError(f"not valid YAML: line {node.start_mark.line + 1}: a value that begins with '!' has to be quoted")


_Loader.add_constructor(None, _unknown_tag)


class Document(NamedTuple):
    """`line` is where it begins in its file, from 1; `digest` tells whether it has to be parsed again."""

    text: str
    line: int
    digest: bytes


def split(text: str) -> Iterator[Document]:
    """The documents of a YAML stream, by their `---` lines; a JSON file is one document."""
    if text.startswith("\ufeff"):
        text = text[1:]
    start, line = 0, 1
    for mark in [*_SEPARATOR.finditer(text), None]:
        end = mark.start() if mark else len(text)
        part = text[start:end]
        if part.strip():
            yield Document(part, line, hashlib.blake2b(part.strip().encode(), digest_size=16).digest())
        if mark:
            line += text.count("\n", start, mark.end())
            start = mark.end()


def parse(document: Document) -> list[dict[str, Any]]:
    """The objects of one document: none for an empty one, several for a List. Raises DocumentError."""
    if len(document.text) > MAX_OBJECT and "kind: List" not in document.text[:2000] and '"List"' not in document.text[:2000]:
        raise DocumentError(f"{len(document.text):,} bytes in one object; the limit is {MAX_OBJECT:,}. Split it into several objects.")
    try:
        data = yaml.load(document.text, _Loader)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark
        at = f"line {document.line + mark.line}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"not valid YAML: {at}{e.problem or e.context}") from e
    except DocumentError:
        raise
    except ValueError as e:  # its text would quote the value, which may be a secret
        raise DocumentError("not valid YAML: a value is not what its tag (!!int, !!binary …) says") from e
    except (yaml.YAMLError, RecursionError) as e:
        raise DocumentError(f"not valid YAML: {' '.join(str(e).split()) or type(e).__name__}") from e
    if data is None:
        return []
    if not isinstance(data, dict):
        raise DocumentError(f"expected an object with apiVersion, kind and metadata, got {_kind_of(data)}")
    _bound(data)
    if data.get("kind") == "List" or (str(data.get("kind", "")).endswith("List") and isinstance(data.get("items"), list)):
        items = data.get("items") or []
        if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
            raise DocumentError("items: expected a list of objects")
        return items
    return [data]


def _kind_of(data: Any) -> str:
    return {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean"}.get(type(data), type(data).__name__)


def _bound(data: Any) -> None:
    """Refuses what grows without measure through YAML aliases, and what contains itself."""
    seen = 0
    todo: list[Any] = [data]
    while todo:
        x = todo.pop()
        seen += 1
        if seen > _MAX_NODES:
            raise DocumentError(f"more than {_MAX_NODES:,} values once its aliases are expanded")
        if isinstance(x, dict):
            todo += x.values()
        elif isinstance(x, list):
            todo += x
