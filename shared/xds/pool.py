"""A DescriptorPool of our own: Envoy's API as xds-protos has it, plus the fields that it does not know yet.

Importing xds-protos' modules takes more than a second and fixes what a message may hold. Here the serialised descriptors are read
out of those modules as text, only the files that somebody asks for (and what they import), and `MISSING` adds fields by name,
number and type as Envoy's API declares them.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import re
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from shared.xds.missing import MISSING, NEW_FILES

POOL = descriptor_pool.DescriptorPool()
_LITERAL = re.compile(r"AddSerializedFile\((b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\")\)", re.DOTALL)
_loaded: set[str] = set()


class UnknownMessage(KeyError):
    """No message of that name in xds-protos or in the additions."""


@functools.cache
def _root() -> Path:
    """Where xds-protos' generated modules stand (found by its file list: another wheel owns `envoy/__init__.py` too)."""
    for file in importlib.metadata.files("xds-protos") or ():
        if file.as_posix() == "envoy/config/route/v3/route_pb2.py":
            return Path(str(file.locate())).parents[4]
    raise RuntimeError("the package xds-protos is not installed, or not whole")


def _serialised(path: str) -> bytes:
    if path in NEW_FILES:
        return NEW_FILES[path].SerializeToString()
    module = path.removesuffix(".proto") + "_pb2"
    file = _root() / (module + ".py")
    if file.is_file() and not path.startswith("google/protobuf/"):
        found = _LITERAL.search(file.read_text(encoding="utf-8"))
        if found is None:
            raise RuntimeError(f"{file}: no serialised descriptor in it")
        return bytes(ast.literal_eval(found.group(1)))
    descriptor = importlib.import_module(module.replace("/", ".")).DESCRIPTOR
    return bytes(descriptor.serialized_pb)


def _messages(scope: descriptor_pb2.FileDescriptorProto) -> dict[str, descriptor_pb2.DescriptorProto]:
    out: dict[str, descriptor_pb2.DescriptorProto] = {}
    todo = [(scope.package + "." + m.name, m) for m in scope.message_type]
    while todo:
        name, message = todo.pop()
        out[name] = message
        todo += [(name + "." + m.name, m) for m in message.nested_type]
    return out


def load(path: str) -> None:
    """Adds a .proto file (`envoy/config/route/v3/route.proto`), and what it imports, to the pool."""
    if path in _loaded:
        return
    _loaded.add(path)
    file = descriptor_pb2.FileDescriptorProto.FromString(_serialised(path))
    additions = MISSING.get(path)
    if additions is not None:
        messages = _messages(file)
        file.message_type.extend(m for m in additions.messages if f"{file.package}.{m.name}" not in messages)
        for name, fields in additions.fields.items():
            messages[name].field.extend(f for f in fields if f.name not in {g.name for g in messages[name].field})
        for name, added in additions.enums.items():
            messages[name].enum_type.extend([added] if added.name not in {e.name for e in messages[name].enum_type} else [])
        file.dependency.extend(d for d in additions.imports if d not in file.dependency)
    for dependency in file.dependency:
        load(dependency)
    POOL.AddSerializedFile(file.SerializeToString())


def load_message(name: str) -> None:
    """Loads the file that declares the message `envoy.config.route.v3.Route`; UnknownMessage if none does."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        package = ".".join(parts[:cut])
        for path, added in NEW_FILES.items():
            if added.package == package:
                load(path)
        folder = _root().joinpath(*parts[:cut])
        for file in sorted(folder.glob("*_pb2.py")):
            load(file.relative_to(_root()).as_posix().removesuffix("_pb2.py") + ".proto")
            if _declared(name):
                return
    if not _declared(name):
        raise UnknownMessage(name)


def _declared(name: str) -> bool:
    try:
        POOL.FindMessageTypeByName(name)
    except KeyError:
        return False
    return True


@functools.cache
def message_class(name: str) -> type[Any]:
    """The class of a message by its full name, for instance `envoy.config.cluster.v3.Cluster`."""
    if not _declared(name):
        load_message(name)
    made: type[Message] = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))
    return made
