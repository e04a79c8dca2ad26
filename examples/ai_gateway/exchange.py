"""What the processor says to Envoy about one request, message by message. No I/O: a message in, an answer out.

`Front` is in listeners, once a request: which model is asked for? `Upstream` is in clusters, once an attempt: the request in the words of
the endpoint that was chosen, its response in the client's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from examples.ai_gateway import metrics
from examples.ai_gateway.schemas.base import Json, Reader, Refused, Tokens
from examples.ai_gateway.target import MODEL_HEADER, NAMESPACE, TARGET_HEADER, Target, read
from shared.xds.message import Fields, struct

Credentials = Mapping[tuple[str, str, str], str]
"""Keys of backends by namespace, Secret and key."""
LONGEST_MODEL = 256
_OWN = (MODEL_HEADER, TARGET_HEADER)
_SECRET = ("authorization", "x-api-key")
"""What of a client's headers may be a key of its own, for the gateway alone."""


class Exchange(Protocol):
    def on(self, message: Any) -> Fields: ...
    def close(self) -> None: ...


def _headers(of: Any) -> dict[str, str]:
    return {h.key: h.raw_value.decode(errors="replace") or h.value for h in of.headers.headers}


def _set(values: Mapping[str, str]) -> list[Fields]:
    return [
        {"header": {"key": key, "raw_value": value.encode()}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in values.items()
    ]


def refusal(status: int, message: str, kind: str = "invalid_request_error", code: str | None = None) -> Fields:
    """An answer in place of a server's, as OpenAI would say it."""
    body = json.dumps({"error": {"message": message, "type": kind, "code": code, "param": None}}).encode()
    headers = {"set_headers": _set({"content-type": "application/json"})}
    return {"immediate_response": {"status": {"code": status}, "headers": headers, "body": body, "details": "ai_gateway"}}


def _parsed(body: bytes) -> Json | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Front:
    def on(self, message: Any) -> Fields:
        match message.WhichOneof("request"):
            case "request_headers":
                if message.request_headers.end_of_stream:
                    return refusal(400, "expected a request with a JSON object as its body")
                # nobody but this processor says which model it is
                return {"request_headers": {"response": {"header_mutation": {"remove_headers": list(_OWN)}}}}
            case "request_body":
                return self._body(message.request_body.body)
            case other:
                return {other: {}}

    def _body(self, body: bytes) -> Fields:
        value = _parsed(body)
        if value is None:
            return refusal(400, "expected a JSON object as the request's body")
        model = value.get("model")
        if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL or not model.isprintable():
            return refusal(400, f"expected the name of a model as `model`, of at most {LONGEST_MODEL} characters")
        mutation = {"set_headers": _set({MODEL_HEADER: model})}
        return {"request_body": {"response": {"header_mutation": mutation, "clear_route_cache": True}}}

    def close(self) -> None:
        """Nothing is left."""


class _Asked(NamedTuple):
    target: Target
    path: str


class Upstream:
    def __init__(self, credentials: Credentials, signing: bytes = b"") -> None:
        self._credentials = credentials
        self._signing = signing
        self._asked: _Asked | None = None
        self._body: Json = {}
        self._model = ""
        self._status = 0
        self._reader: Reader | None = None
        self._begin = time.monotonic()
        self._counted = False

    def on(self, message: Any) -> Fields:
        match message.WhichOneof("request"):
            case "request_headers":
                return self._request_headers(_headers(message.request_headers))
            case "request_body":
                return self._request_body(message.request_body.body)
            case "response_headers":
                return self._response_headers(_headers(message.response_headers), message.response_headers.end_of_stream)
            case "response_body":
                return self._response_body(message.response_body.body, message.response_body.end_of_stream)
            case other:
                return {other: {}}

    def _request_headers(self, headers: Mapping[str, str]) -> Fields:
        try:
            self._asked = _Asked(read(headers.get(TARGET_HEADER, ""), self._signing), headers.get(":path", "/"))
        except ValueError:
            return refusal(500, "the gateway does not know which backend this is", "api_error")
        return {"request_headers": {}}

    def _request_body(self, data: bytes) -> Fields:
        body = _parsed(data)
        if self._asked is None or body is None:
            return refusal(400, "expected a JSON object as the request's body")
        of = self._asked.target
        self._body, self._model = body, str(body.get("model"))
        if of.unknown:
            return refusal(404, f"there is no route for the model {self._model!r}", code="model_not_found")
        key = ("", "")
        if of.key is not None:
            found = self._credentials.get((of.namespace, of.key.name, of.key.key))
            if found is None:
                # as a failure of the backend: the next one is asked
                return refusal(503, f"backend {of.backend} has no credentials", "api_error")
            header, value = of.speaks().credentials(found)
            prefix = of.key.prefix
            key = (of.key.header or header, value if prefix is None and of.key.header is None else (prefix or "") + found)
        try:
            out = of.speaks().request(body, of.path(self._asked.path), of.there(self._model))
        except Refused as e:
            return refusal(400, str(e))
        headers = {":path": out.path, "content-type": "application/json", "content-length": str(len(out.body)), **out.headers}
        # an answer that is compressed could not be read on its way back
        removed = [*_OWN, "accept-encoding"]
        if key[0]:
            headers[key[0]] = key[1]
            removed += [name for name in _SECRET if name != key[0]]
        mutation = {"set_headers": _set(headers), "remove_headers": removed}
        return {"request_body": {"response": {"header_mutation": mutation, "body_mutation": {"body": out.body}}}}

    def _response_headers(self, headers: Mapping[str, str], end: bool) -> Fields:
        self._status = int(headers.get(":status", "0"))
        if self._asked is None:
            return {"response_headers": {}}
        of = self._asked.target
        metrics.REQUESTS.labels(of.route, of.backend, self._model, str(self._status)).inc()
        metrics.FIRST.labels(of.route, of.backend).observe(time.monotonic() - self._begin)
        if not end and not headers.get("content-encoding"):
            self._reader = of.speaks().reader(self._body, self._status, headers.get("content-type", ""))
        return {"response_headers": {"response": {"header_mutation": {"remove_headers": ["content-length"]}}}}

    def _response_body(self, data: bytes, end: bool) -> Fields:
        if self._reader is None:
            return {"response_body": {}}
        out = self._reader.feed(data, end)
        answer: Fields = {"response_body": {"response": {"body_mutation": {"body": out} if out else {"clear_body": True}}}}
        if end:
            answer["dynamic_metadata"] = struct({NAMESPACE: self._metadata(self._reader.tokens)})
            self._count()
        return answer

    def _metadata(self, tokens: Tokens) -> dict[str, Any]:
        assert self._asked is not None
        of = self._asked.target
        return {
            "route": of.route,
            "backend": of.backend,
            "model": self._model,
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "total_tokens": tokens.total,
        }

    def _count(self) -> None:
        if self._asked is None or self._reader is None or self._counted:
            return
        self._counted = True
        of, tokens = self._asked.target, self._reader.tokens
        for kind, number in (("input", tokens.input), ("output", tokens.output)):
            metrics.TOKENS.labels(of.route, of.backend, self._model, kind).inc(number)
        metrics.SECONDS.labels(of.route, of.backend).observe(time.monotonic() - self._begin)

    def close(self) -> None:
        """A client that went away has still been served what was told so far."""
        self._count()
