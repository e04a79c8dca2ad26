"""Common Expression Language, read into the tree that Envoy takes (cel.expr.ParsedExpr): it reads no text itself.

Numbers of nodes and their positions are those that Google's parser for Go gives, so that the same text is the same bytes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from shared.features.parts.cel import RESERVED, TOKEN, cel_fault, unknown_macro

Fields = dict[str, Any]
"""A message's fields, as shared/xds/message.py takes them."""

_RELATIONS = {op: f"_{op}_" for op in ("==", "!=", "<=", ">=", "<", ">")} | {"in": "@in"}
_SUMS = {op: f"_{op}_" for op in "+-"}
_PRODUCTS = {op: f"_{op}_" for op in "*/%"}
_WORDS: dict[str, Fields] = {"true": {"bool_value": True}, "false": {"bool_value": False}, "null": {"null_value": 0}}
_STRING = re.compile(r"([rRbB]*)(\"{3}|'{3}|\"|')(.*)\2", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))")
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Misread(ValueError):
    """Why a text is no expression."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parsed(text: str) -> Fields:
    """The expression as a cel.expr.ParsedExpr; Misread for a text that is none."""
    if (fault := cel_fault(text) or unknown_macro(text)) is not None:
        raise Misread(fault)
    reader = _Reader(text)
    expr = reader.expression()
    ends = [i + 1 for i, c in enumerate(text) if c == "\n"]
    source: Fields = {"location": "<input>", "line_offsets": [*ends, len(text) + 1], "positions": reader.positions}
    return {"expr": expr, "source_info": source}


def _constant(text: str) -> Fields:
    if text.lower().endswith("u"):
        return {"uint64_value": int(text[:-1], 0)}
    if text.lower().startswith(("0x", "-0x")) or re.fullmatch(r"-?\d+", text):
        return {"int64_value": int(text, 16 if "x" in text.lower() else 10)}
    return {"double_value": float(text)}


def _string(text: str) -> Fields:
    match = _STRING.fullmatch(text)
    assert match is not None, "the token is a string"
    prefix, body = match[1].lower(), match[3]
    if "b" in prefix:
        return {"bytes_value": body.encode() if "r" in prefix else _bytes(body)}
    return {"string_value": body if "r" in prefix else _ESCAPE.sub(_character, body)}


def _character(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _PLAIN.get(match[1], match[1])
    return chr(int(match[2] or match[3] or match[4], 16) if match[5] is None else int(match[5], 8))


def _bytes(body: str) -> bytes:
    # octal and hexadecimal escapes are bytes here, as in Python's own literals
    escaped = "".join(c if c.isascii() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in _quoted(body))
    literal = ast.literal_eval(f"b'{escaped}'")
    assert isinstance(literal, bytes)
    return literal


def _quoted(body: str) -> str:
    return re.sub(r"(\\.)|'|\n", lambda m: m[1] or {"'": "\\'", "\n": "\\n"}[m[0]], body, flags=re.DOTALL)


class _Reader:
    """Reads tokens from left to right, one method a rule of the grammar; a node's number is given where the grammar meets its sign."""

    def __init__(self, text: str) -> None:
        self._tokens = [_Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(text) if m.lastgroup is not None]
        self._at = 0
        self._last = 0
        self.positions: dict[int, int] = {}

    def _peek(self, ahead: int = 0) -> _Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _Token("end", "", 0)

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _sees(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token.text == text and token.kind != "string"

    def _took(self, text: str) -> _Token | None:
        return self._next() if self._sees(text) else None

    def _id(self, at: int) -> int:
        self._last += 1
        self.positions[self._last] = at
        return self._last

    def _call(self, number: int, function: str, *args: Fields, target: Fields | None = None) -> Fields:
        call: Fields = {"function": function, "args": list(args)}
        return {"id": number, "call_expr": call | ({"target": target} if target is not None else {})}

    def expression(self) -> Fields:
        condition = self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))
        mark = self._took("?")
        if mark is None:
            return condition
        number = self._id(mark.at)
        yes = self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))
        self._took(":")
        return self._call(number, "_?_:_", condition, yes, self.expression())

    def _logical(self, sign: str, function: str, part: Callable[[], Fields]) -> Fields:
        """Terms of `&&` or `||` as a balanced tree."""
        terms, numbers = [part()], []
        while (mark := self._took(sign)) is not None:
            terms.append(part())
            numbers.append(self._id(mark.at))

        def tree(low: int, high: int) -> Fields:
            if high < low:
                return terms[low]
            middle = (low + high + 1) // 2
            return self._call(numbers[middle], function, tree(low, middle - 1), tree(middle + 1, high))

        return tree(0, len(numbers) - 1)

    def _left(self, signs: dict[str, str], part: Callable[[], Fields]) -> Fields:
        found = part()
        while self._peek().text in signs and self._peek().kind in ("sign", "name"):
            mark = self._next()
            number = self._id(mark.at)
            found = self._call(number, signs[mark.text], found, part())
        return found

    def _relation(self) -> Fields:
        return self._left(_RELATIONS, lambda: self._left(_SUMS, lambda: self._left(_PRODUCTS, self._unary)))

    def _unary(self) -> Fields:
        mark = self._peek()
        if mark.text not in ("!", "-") or mark.kind != "sign" or (mark.text == "-" and self._peek(1).kind == "number"):
            return self._member()
        count = 0
        while self._took(mark.text):
            count += 1
        if count % 2 == 0:
            return self._member()
        number = self._id(mark.at)
        return self._call(number, f"{mark.text}_", self._member())

    def _member(self) -> Fields:
        found = self._primary()
        while True:
            if self._sees(".") and self._sees("(", 2):
                self._next()
                name, opened = self._next(), self._next()
                number = self._id(opened.at)
                found = self._expanded(number, name.text, found, self._list(")"))
            elif (mark := self._took(".")) is not None:
                name, number = self._next(), self._id(mark.at)
                found = {"id": number, "select_expr": {"operand": found, "field": name.text}}
            elif (mark := self._took("[")) is not None:
                number = self._id(mark.at)
                index = self.expression()
                self._took("]")
                found = self._call(number, "_[_]", found, index)
            else:
                return found

    def _primary(self) -> Fields:
        token = self._next()
        if token.kind == "string":
            return {"id": self._id(token.at), "const_expr": _string(token.text)}
        if token.text == "-" or token.kind == "number":
            sign = "-" if token.text == "-" else ""
            text = self._next().text if sign else token.text
            return {"id": self._id(token.at), "const_expr": _constant(sign + text)}
        if token.text == "(":
            found = self.expression()
            self._took(")")
            return found
        if token.text == "[":
            number = self._id(token.at)
            return {"id": number, "list_expr": {"elements": self._list("]")}}
        if token.text == "{":
            return self._struct(token, "")
        dot = "." if token.text == "." else ""
        return self._named(self._next() if dot else token, dot)

    def _named(self, token: _Token, dot: str) -> Fields:
        if token.text in _WORDS and not dot:
            return {"id": self._id(token.at), "const_expr": _WORDS[token.text]}
        if (opened := self._took("(")) is not None:
            number = self._id(opened.at)
            return self._expanded(number, dot + token.text, None, self._list(")"))
        length = 0
        while self._sees(".", length) and self._peek(length + 1).kind == "name" and self._peek(length + 1).text not in RESERVED:
            length += 2
        if self._sees("{", length):
            path = "".join(self._next().text for _ in range(length))
            return self._struct(self._next(), dot + token.text + path)
        return {"id": self._id(token.at), "ident_expr": {"name": dot + token.text}}

    def _list(self, close: str) -> list[Fields]:
        found: list[Fields] = []
        while not self._took(close):
            found.append(self.expression())
            self._took(",")
        return found

    def _struct(self, opened: _Token, message: str) -> Fields:
        """A map, or a message by its name."""
        number = self._id(opened.at)
        entries: list[Fields] = []
        while not self._took("}"):
            entries.append(self._entry(message))
            self._took(",")
        struct: Fields = {"message_name": message} if message else {}
        return {"id": number, "struct_expr": struct | {"entries": entries}}

    def _entry(self, message: str) -> Fields:
        if message:
            name = self._next().text
            number = self._id(self._next().at)
            return {"id": number, "field_key": name, "value": self.expression()}
        # the colon's number comes before those of the key
        number = self._id(0)
        key = self.expression()
        self.positions[number] = self._next().at
        return {"id": number, "map_key": key, "value": self.expression()}

    def _expanded(self, number: int, name: str, target: Fields | None, args: list[Fields]) -> Fields:
        """A call, or what the one macro that Envoy knows stands for."""
        if target is not None or name != "has" or len(args) != 1 or "select_expr" not in args[0]:
            return self._call(number, name, *args, target=target)
        at = self.positions.pop(number)
        return {"id": self._id(at), "select_expr": args[0]["select_expr"] | {"test_only": True}}
