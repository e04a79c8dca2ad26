"""A server with a JSON protocol of its own, which its clients speak: told where it is, what its model is called, and what it cost."""

from __future__ import annotations

import copy
import json
from typing import Any

from examples.ai_gateway.kinds import Generic as Spec
from examples.ai_gateway.schemas.base import Events, Json, Outgoing, Reader, Refused, Tokens, Whole, is_stream, number


def at(value: Any, pointer: str) -> Any:
    """What a JSON pointer leads to; None where that is nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


class _Usage:
    tokens: Tokens
    spec: Spec

    def look(self, value: Json) -> None:
        """What stands there counts; of several events the last."""
        of = self.spec.usage
        read, written = at(value, of.input) if of.input else None, at(value, of.output) if of.output else None
        self.tokens = Tokens(
            number(read) if read is not None else self.tokens.input, number(written) if written is not None else self.tokens.output
        )


class _Whole(Whole, _Usage):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def whole(self, value: Json) -> bytes:
        self.look(value)
        return self._data


class _Events(Events, _Usage):
    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec

    def event(self, value: Json, raw: bytes) -> bytes:
        self.look(value)
        return raw + b"\n\n"


class Generic:
    def __init__(self, prefix: str, spec: Spec) -> None:
        self._prefix = prefix
        self._spec = spec

    def request(self, body: Json, path: str, model: str) -> Outgoing:
        changed = copy.deepcopy(body)
        changed.pop("model", None)
        *parents, last = self._spec.model_field.split("/")[1:] or [""]
        place: Any = changed
        for part in parents:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise Refused(f"{self._spec.model_field} leads through something that is no object")
        if last:
            place[last] = model
        return Outgoing(self._prefix + (self._spec.path or path), json.dumps(changed, ensure_ascii=False).encode())

    def reader(self, asked: Json, status: int, content_type: str) -> Reader:
        return _Events(self._spec) if is_stream(content_type) else _Whole(self._spec)

    def credentials(self, key: str) -> tuple[str, str]:
        return "authorization", f"Bearer {key}"
