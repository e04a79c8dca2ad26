"""Descriptors of protobuf fields and enums, short enough to stand in tables."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto


def enum(name: str, *values: str) -> EnumDescriptorProto:
    """Values count from 0."""
    return EnumDescriptorProto(name=name, value=[EnumValueDescriptorProto(name=v, number=n) for n, v in enumerate(values)])


def field(name: str, number: int, kind: str, *, repeated: bool = False, oneof: int | None = None) -> FieldDescriptorProto:
    """`kind` is a scalar's name (`bool`, `uint32` …), a message's full name with a leading dot, or an enum's after `enum `.

    `oneof` is the number of the message's oneof that the field belongs to.
    """
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    made = FieldDescriptorProto(name=name, number=number, label=label)
    if oneof is not None:
        made.oneof_index = oneof
    if kind.startswith("enum "):
        made.type = FieldDescriptorProto.TYPE_ENUM
        made.type_name = kind.removeprefix("enum ")
    elif kind.startswith("."):
        made.type = FieldDescriptorProto.TYPE_MESSAGE
        made.type_name = kind
    else:
        made.type = FieldDescriptorProto.Type.Value("TYPE_" + kind.upper())
    return made
