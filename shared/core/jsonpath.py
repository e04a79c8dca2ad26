"""JSONPath (RFC 9535) to JSON pointers: which places of a document a path means.

`=~` searches, as in Envoy Gateway, and all regular expressions are RE2: no pattern takes longer than its text.
"""

from __future__ import annotations

import re
from typing import Any

import re2
from jsonpath import JSONPathEnvironment, JSONPathError
from jsonpath.function_extensions import ExpressionType, FilterFunction

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def _found(value: object, pattern: object, *, whole: bool) -> bool:
    if not isinstance(value, str) or not isinstance(pattern, str):
        return False
    try:
        compiled = re2.compile(pattern, options=_OPTIONS)
    except re2.error:
        return False
    return (compiled.fullmatch(value) if whole else compiled.search(value)) is not None


class _Regex(FilterFunction):
    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the library wants a list
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, value: object, pattern: object) -> bool:
        return _found(value, pattern, whole=self._whole)


class _Environment(JSONPathEnvironment):
    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Regex(whole=True)
        self.function_extensions["search"] = _Regex(whole=False)

    def compare(self, left: object, operator: str, right: object) -> bool:
        if operator == "=~":
            return _found(left, right.pattern if isinstance(right, re.Pattern) else right, whole=False)
        return super().compare(left, operator, right)


_ENVIRONMENT = _Environment()


def pointers(path: str, document: Any) -> list[str]:
    """Pointers (RFC 6901) of everything that the path means, in the document's order; ValueError for what is no path."""
    try:
        return [str(match.pointer()) for match in _ENVIRONMENT.finditer(path, document)]
    except JSONPathError as e:
        raise ValueError(f"{path!r} is no JSONPath: {e.args[0] if e.args else e}") from e
