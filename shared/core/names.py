"""Subjects are the bus protocol's addresses, so escaping names into them lives in one place.

Kubernetes names hold neither '_' nor '~' nor '*' (DNS-1123), and never are '-' alone, which makes the escapes lossless:
'.' -> '_', '*' -> '~', '' -> '-'.
"""

from __future__ import annotations

_ESCAPE = str.maketrans({".": "_", "*": "~"})
_UNESCAPE = str.maketrans({"_": ".", "~": "*"})


def escape(token: str) -> str:
    """One name as one subject token."""
    return token.translate(_ESCAPE) if token else "-"


def unescape(token: str) -> str:
    """The name that `escape` made this token from."""
    return "" if token == "-" else token.translate(_UNESCAPE)


def join(*tokens: str) -> str:
    """A subject from unescaped names."""
    return ".".join(escape(t) for t in tokens)
