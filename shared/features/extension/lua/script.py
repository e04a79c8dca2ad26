"""Lua as LuaJIT reads it: whether a text is a script at all, and which names it uses that are not its own. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_ESCAPE = r"\\(?:[abfnrtv\\\"'\n]|\r\n|z\s*+|x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]+\}|[01]\d\d|2[0-4]\d|25[0-5]|\d\d?(?!\d))"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|--\[(?P<c>=*)\[.*?\](?P=c)\]|--(?!\[=*\[)[^\n]*)
    |(?P<string>"(?:[^"\\\n]|{_ESCAPE})*"|'(?:[^'\\\n]|{_ESCAPE})*'|\[(?P<s>=*)\[.*?\](?P=s)\])
    |(?P<number>(?:0[xX](?:[0-9a-fA-F]++\.?[0-9a-fA-F]*+|\.[0-9a-fA-F]++)(?:[pP][+-]?\d++)?|(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?)(?:U?LL|ull|ll|i)?(?!\w))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>\.\.\.|\.\.|::|[=~<>]=|-(?!-)|\[(?!=*\[)|[+*/%^\#<>=(){{}}\];:,.])""",
    re.VERBOSE | re.DOTALL,
)
"""No two ways to read the same text, and none to begin what never ends: a long script costs its length."""

_KEYWORDS = frozenset(
    "and break do else elseif end false for function if in local nil not or repeat return then true until while".split()  # noqa: SIM905
)
_BINARY = frozenset(("+", "-", "*", "/", "%", "^", "..", "==", "~=", "<=", ">=", "<", ">", "and", "or"))
_UNARY = frozenset(("-", "#", "not"))
_BLOCK_ENDS = frozenset(("end", "else", "elseif", "until", ""))
_DEEPEST = 80


class NoScript(ValueError):
    """Why a text is no script; a sentence for a person."""


class Uses(NamedTuple):
    """What a script is made of besides itself."""

    reads: frozenset[tuple[str, str]]
    """Global names, each with the field that is taken of it, if one is; those that it sets itself are among them."""
    methods: frozenset[str]
    """Names behind a colon that it calls and does not define."""
    defines: frozenset[str]
    """Global names that it sets."""


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def read(text: str) -> Uses:
    """Raises NoScript."""
    reader = _Reader(_tokens(text))
    reader.chunk()
    return Uses(
        reads=frozenset(reader.reads),
        methods=frozenset(reader.methods - reader.fields),
        defines=frozenset(reader.sets),
    )


def _tokens(text: str) -> list[_Token]:
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NoScript(f"line {line}: unexpected {text[at]!r}")
        if match["space"] is None:
            kind = next(k for k in ("string", "number", "name", "sign") if match[k] is not None)
            found.append(_Token("word" if match.group() in _KEYWORDS else kind, match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return found


class _Reader:
    """Reads tokens from left to right, one method a rule of the grammar; precedence does not matter to what is asked here."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._scopes: list[set[str]] = []
        self._loops = [0]
        self._varargs = [True]
        self._labels: set[str] = set()
        self._jumps: set[str] = set()
        self.reads: set[tuple[str, str]] = set()
        self.sets: set[str] = set()
        self.methods: set[str] = set()
        self.fields: set[str] = set()

    def _peek(self, ahead: int = 0) -> _Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _Token("end", "", self._tokens[-1].line if self._tokens else 1)

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _sees(self, *texts: str) -> bool:
        token = self._peek()
        return token.text in texts and token.kind in ("sign", "word", "end")

    def _took(self, text: str) -> bool:
        found = self._sees(text)
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise self._wrong(f"expected {text!r}")

    def _wrong(self, why: str) -> NoScript:
        token = self._peek()
        return NoScript(f"line {token.line}: {why} near {token.text or 'the end'!r}")

    def _name(self) -> str:
        if self._peek().kind != "name":
            raise self._wrong("expected a name")
        return self._next().text

    def chunk(self) -> None:
        self._block(())
        if self._at < len(self._tokens):
            raise self._wrong("unexpected text")
        if unknown := self._jumps - self._labels:
            raise NoScript(f"there is no label {min(unknown)}")

    def _block(self, names: Iterable[str], until: bool = False) -> None:
        """A block in which those names are known; with its condition, if it ends in one."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("nested too deeply")
        self._scopes.append(set(names))
        while not self._sees(*_BLOCK_ENDS):
            if self._took("return"):
                if not self._sees(*_BLOCK_ENDS, ";"):
                    self._expressions()
                self._took(";")
                break
            self._statement()
            self._took(";")
        if until:
            self._expect("until")
            self._expression()
        self._scopes.pop()
        self._depth -= 1

    def _loop(self, names: Iterable[str] = (), until: bool = False) -> None:
        self._loops[-1] += 1
        self._block(names, until)
        self._loops[-1] -= 1

    def _statement(self) -> None:
        token = self._peek()
        rule = _STATEMENTS.get(token.text) if token.kind in ("word", "sign") else None
        if rule is not None:
            self._next()
            rule(self)
        elif token.text == "goto" and self._peek(1).kind == "name":
            self._next()
            self._jumps.add(self._name())
        else:
            self._assignment_or_call()

    def _label(self) -> None:
        self._labels.add(self._name())
        self._expect("::")

    def _break(self) -> None:
        if not self._loops[-1]:
            raise self._wrong("break outside of a loop")

    def _do(self) -> None:
        self._block(())
        self._expect("end")

    def _while(self) -> None:
        self._expression()
        self._expect("do")
        self._loop()
        self._expect("end")

    def _repeat(self) -> None:
        self._loop(until=True)

    def _if(self) -> None:
        more = True
        while more:
            self._expression()
            self._expect("then")
            self._block(())
            more = self._took("elseif")
        if self._took("else"):
            self._block(())
        self._expect("end")

    def _for(self) -> None:
        names = self._names()
        if len(names) == 1 and self._took("="):
            self._expression()
            self._expect(",")
            self._expression()
            if self._took(","):
                self._expression()
        else:
            self._expect("in")
            self._expressions()
        self._expect("do")
        self._loop(names)
        self._expect("end")

    def _function(self) -> None:
        name = self._name()
        if not self._sees(".", ":") and not self._own(name):
            self.sets.add(name)
        elif not self._own(name):
            self.reads.add((name, ""))
        while self._took("."):
            self.fields.add(self._name())
        method = self._took(":")
        if method:
            self.fields.add(self._name())
        self._body(("self",) if method else ())

    def _local(self) -> None:
        if self._took("function"):
            self._scopes[-1].add(self._name())
            self._body(())
            return
        names = self._names()
        if self._took("="):
            self._expressions()
        self._scopes[-1].update(names)

    def _names(self) -> list[str]:
        names = [self._name()]
        while self._took(","):
            names.append(self._name())
        return names

    def _body(self, names: tuple[str, ...]) -> None:
        self._expect("(")
        known, more, first = list(names), False, True
        while not self._took(")"):
            if more or not (first or self._took(",")):
                raise self._wrong("expected ')'")
            first, more = False, self._took("...")
            known += [] if more else [self._name()]
        self._varargs.append(more)
        self._loops.append(0)
        self._block(known)
        self._loops.pop()
        self._varargs.pop()
        self._expect("end")

    def _own(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes)

    def _assignment_or_call(self) -> None:
        start, what = self._peek(), self._suffixed()
        if what == "call":
            return
        targets = [(start, what)]
        while self._took(","):
            token = self._peek()
            targets.append((token, self._suffixed()))
        self._expect("=")
        for token, kind in targets:
            if kind not in ("name", "field"):
                raise self._wrong("this cannot be set")
            if kind == "name" and not self._own(token.text):
                self.sets.add(token.text)
        self._expressions()

    def _suffixed(self) -> str:
        """What it ends in: a name, a field, a call, or something in brackets."""
        kind = self._primary()
        while True:
            if self._took("."):
                self._field()
                kind = "field"
            elif self._took("["):
                self._expression()
                self._expect("]")
                kind = "field"
            elif self._took(":"):
                self.methods.add(self._name())
                self._arguments()
                kind = "call"
            elif self._sees("(", "{") or self._peek().kind == "string":
                self._arguments()
                kind = "call"
            else:
                return kind

    def _primary(self) -> str:
        if self._took("("):
            self._expression()
            self._expect(")")
            return "brackets"
        name = self._name()
        if not self._own(name):
            self.reads.add((name, self._peek(1).text if self._sees(".") else ""))
        return "name"

    def _field(self) -> None:
        name = self._name()
        if self._sees("="):
            self.fields.add(name)

    def _arguments(self) -> None:
        if self._peek().kind == "string":
            self._next()
        elif self._sees("{"):
            self._table()
        else:
            if self._at and self._peek().line != self._tokens[self._at - 1].line:
                raise self._wrong("a call or a new statement")
            self._expect("(")
            if not self._took(")"):
                self._expressions()
                self._expect(")")

    def _expressions(self) -> None:
        self._expression()
        while self._took(","):
            self._expression()

    def _expression(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("nested too deeply")
        self._operand()
        while self._sees(*_BINARY):
            self._next()
            self._operand()
        self._depth -= 1

    def _operand(self) -> None:
        while self._sees(*_UNARY):
            self._next()
        if self._peek().kind in ("string", "number") or self._sees("nil", "true", "false"):
            self._next()
        elif self._took("..."):
            if not self._varargs[-1]:
                raise self._wrong("'...' outside of a function that takes it")
        elif self._sees("{"):
            self._table()
        elif self._took("function"):
            self._body(())
        else:
            self._suffixed()

    def _table(self) -> None:
        self._expect("{")
        while not self._took("}"):
            if self._took("["):
                self._expression()
                self._expect("]")
                self._expect("=")
            elif self._peek().kind == "name" and self._peek(1).text == "=" and self._peek(1).kind == "sign":
                self.fields.add(self._name())
                self._next()
            self._expression()
            if not (self._took(",") or self._took(";")):
                self._expect("}")
                return


_STATEMENTS = {
    "::": _Reader._label,
    "break": _Reader._break,
    "do": _Reader._do,
    "while": _Reader._while,
    "repeat": _Reader._repeat,
    "if": _Reader._if,
    "for": _Reader._for,
    "function": _Reader._function,
    "local": _Reader._local,
}
