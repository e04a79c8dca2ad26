"""What the filters of one rule (or backendRef) add up to; each filter's room takes the sum so far and returns the next."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared.features.parts.problem import Problem
from shared.features.route.cors.ir import Cors
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.mirror.ir import MirrorPolicy
from shared.features.route.redirect.ir import Redirect
from shared.features.route.url_rewrite.ir import UrlRewrite
from shared.ir.destination import DestinationSetting
from shared.ir.match import AddHeader, StringMatch


class Filters(msgspec.Struct, frozen=True):
    """The IR fields that filters fill, and the problems they met."""

    add_request_headers: tuple[AddHeader, ...] = ()
    remove_request_headers: tuple[str, ...] = ()
    add_response_headers: tuple[AddHeader, ...] = ()
    remove_response_headers: tuple[str, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    url_rewrite: UrlRewrite | None = None
    mirrors: tuple[MirrorPolicy, ...] = ()
    cors: Cors | None = None
    credential_injection: CredentialInjection | None = None
    cookie_matches: tuple[tuple[StringMatch, ...], ...] = ()
    extensions: tuple[str, ...] = ()
    """Keys of the shards of extension servers' filters."""
    problems: tuple[Problem, ...] = ()

    def failed(self, *problems: Problem) -> Filters:
        return replace(self, problems=self.problems + problems)

    def refused(self, problem: Problem) -> Filters:
        """An unsupported or unresolvable filter: requests that it would have handled get a 500."""
        return replace(self.failed(problem), direct_response=DirectResponse(status_code=500))


class Lookup(msgspec.Struct, frozen=True):
    """What a filter may ask of the objects around its route; everything is recorded by the caller's reads."""

    namespace: str
    destination_name: str
    backend: Callable[[object, str], tuple[DestinationSetting | None, Problem | None]]
    """A backend reference and the setting's name -> its setting (None: it must not be used), and what was wrong."""
    extension: Callable[[str, str], object | None]
    """kind and name of an extension filter in the route's namespace -> its row, or None."""
    custom: Callable[[str, str, str], str | None]
    """group, kind and name of an extension server's object in the route's namespace -> its shard's key; None where there is none.

    KeyError for a kind that belongs to no extension server.
    """
    body: Callable[[object], tuple[str, Problem | None]]
    """A custom response body -> base64 of its content."""
    secret: Callable[[object, str], tuple[str, str | None]]
    """An HTTPRouteFilter's reference to a Secret, and a key -> the value there as it is stored, and what was wrong."""
