"""The protocol with one rate limit service, as a state machine: always everything (state of the world), one response in flight."""

from __future__ import annotations

from services.xds_server.ads.messages import Request, Response
from services.xds_server.limits.board import CONFIG, Board
from services.xds_server.render.types import frame, framed
from services.xds_server.resources import Resource


class LimitStream:
    """Requests go in; `poll` says what to send, if anything."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._asked = False
        self._sent = -1
        self._version = ""
        self._nonce = 0
        self._in_flight = ""

    def on_request(self, request: Request) -> str | None:
        """Takes a request; the text of a refusal comes back. What was refused is not sent again until something changes."""
        if request.nonce and request.nonce != self._in_flight:
            return None
        self._in_flight = ""
        if not self._asked:
            self._asked, self._version = True, request.version
        return request.error

    def poll(self) -> Response | None:
        configs = self._board.configs
        if not self._asked or self._in_flight or configs is None or self._sent == self._board.seq:
            return None
        self._sent = self._board.seq
        if self._version == self._board.version:
            return None
        self._version = self._board.version
        self._nonce += 1
        self._in_flight = str(self._nonce)
        resources = tuple(Resource("", "", framed(1, CONFIG.encode()) + frame(2, len(body)) + body) for body in configs)
        return Response(CONFIG, self._in_flight, self._version, resources)
