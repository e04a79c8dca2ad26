"""Common Expression Language, its syntax alone: Envoy refuses a whole listener for one expression that does not parse.

The grammar is that of the CEL specification; precedence does not matter to validity, so operators are read as one flat chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable

TOKEN = re.compile(
    r"""\s+|//[^\n]*
    |(?P<string>[rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0x[0-9a-fA-F]+u?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>\|\||&&|[<>=!]=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
RESERVED = frozenset(
    "as break const continue else for function if import let loop package namespace return var void while".split()  # noqa: SIM905
)
_BINARY = frozenset(("||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "in"))
_DEEPEST = 100
_LOOPS = frozenset(("all", "exists", "exists_one", "existsOne", "map", "filter"))


class _Fault(Exception):
    pass


def cel_fault(text: str) -> str | None:
    """A sentence for a person where the text is no CEL expression."""
    try:
        reader = _Reader(_tokens(text))
        reader.expression()
        reader.end()
    except _Fault as e:
        return f"invalid CEL expression {text!r}: {e}"
    return None


def unknown_macro(text: str) -> str | None:
    """A sentence for a person where an expression goes through a list, which Envoy does not."""
    tokens = _tokens(text)
    for (_, dot), (kind, name), (_, opened) in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (dot, kind, opened) == (".", "name", "(") and name in _LOOPS:
            return f"invalid CEL expression {text!r}: Envoy does not evaluate {name}()"
    return None


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise _Fault(f"unexpected {text[at]!r} at {at}")
        at = match.end()
        if match.lastgroup is not None:
            found.append((match.lastgroup, match.group()))
    return found


class _Reader:
    """Reads tokens from left to right, one method a rule of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _took(self, text: str) -> bool:
        kind, found = self._peek()
        if found == text and kind != "string":
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise _Fault(f"expected {text!r} instead of {self._peek()[1]!r}")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise _Fault(f"unexpected {self._peek()[1]!r}")

    def expression(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Fault("nested too deeply")
        self._chain()
        if self._took("?"):
            self._chain()
            self._expect(":")
            self.expression()
        self._depth -= 1

    def _chain(self) -> None:
        self._unary()
        while self._peek()[0] in ("sign", "name") and self._peek()[1] in _BINARY:
            self._at += 1
            self._unary()

    def _unary(self) -> None:
        while self._peek() in (("sign", "!"), ("sign", "-")):
            self._at += 1
        self._primary()
        while True:
            if self._took("."):
                self._name()
                if self._took("("):
                    self._list(")", self.expression)
            elif self._took("["):
                self.expression()
                self._expect("]")
            elif self._took("{"):
                self._list("}", self._entry)
            else:
                return

    def _primary(self) -> None:
        kind, text = self._next()
        if kind in ("string", "number"):
            return
        if text == ".":
            kind, text = self._next()
        if kind == "name":
            if text in RESERVED or text == "in":
                raise _Fault(f"{text!r} is reserved")
            if self._took("("):
                self._list(")", self.expression)
        elif text == "(":
            self.expression()
            self._expect(")")
        elif text == "[":
            self._list("]", self.expression)
        elif text == "{":
            self._list("}", self._entry)
        else:
            raise _Fault(f"unexpected {text!r}")

    def _name(self) -> None:
        kind, text = self._next()
        if kind != "name":
            raise _Fault(f"expected a name instead of {text!r}")

    def _entry(self) -> None:
        self.expression()
        self._expect(":")
        self.expression()

    def _list(self, close: str, item: Callable[[], None]) -> None:
        while not self._took(close):
            item()
            if not self._took(","):
                self._expect(close)
                return
