"""What an endpoint's metadata tells the processor: who it is, what it speaks, and where its key is. Never the key itself.

It travels from the extension server through Envoy's configuration into a header of the request on its way to that endpoint.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from examples.ai_gateway.kinds import BackendRef, BackendSpec, Generic
from examples.ai_gateway.schemas.anthropic import Anthropic
from examples.ai_gateway.schemas.base import Schema
from examples.ai_gateway.schemas.generic import Generic as GenericSchema
from examples.ai_gateway.schemas.openai import OpenAI

NAMESPACE = "ai-gateway.envoyproxy.io"
"""Of metadata: of endpoints, and of requests when they are over."""
MODEL_HEADER = "x-ai-gateway-model"
TARGET_HEADER = "x-ai-gateway-target"
DEFAULT_PREFIX = {"OpenAI": "/v1", "Anthropic": "/v1", "Generic": ""}


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key of the Secret `name` in the backend's namespace. `header` and `prefix` where the schema's are not the right ones."""

    name: str
    key: str
    header: str | None = None
    prefix: str | None = None


class Target(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`strip`: the prefix of the route's paths, which the server knows nothing of."""

    route: str
    namespace: str
    name: str
    schema: str
    prefix: str
    strip: str
    model: str | None = None
    models: dict[str, str] = {}
    generic: Generic | None = None
    key: Key | None = None
    unknown: bool = False
    """Nobody: there is no route for the model."""

    @property
    def backend(self) -> str:
        return f"{self.namespace}/{self.name}"

    def there(self, model: str) -> str:
        """What the server calls a model."""
        return self.model or self.models.get(model, model)

    def path(self, path: str) -> str:
        """The request's path as it follows the server's prefix."""
        prefix = self.strip.rstrip("/")
        return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path

    def speaks(self) -> Schema:
        match self.schema:
            case "Anthropic":
                return Anthropic(self.prefix)
            case "Generic":
                return GenericSchema(self.prefix, self.generic or Generic())
            case _:
                return OpenAI(self.prefix)


def target(route: str, strip: str, ref: BackendRef, namespace: str, spec: BackendSpec) -> Target:
    """Of a backend, as a rule of that AIRoute names it."""
    of = spec.credentials
    return Target(
        route=route,
        namespace=namespace,
        name=ref.name,
        schema=spec.schema,
        prefix=(spec.prefix if spec.prefix is not None else DEFAULT_PREFIX[spec.schema]).rstrip("/"),
        strip=strip,
        model=ref.model,
        models=spec.models,
        generic=spec.generic if spec.schema == "Generic" else None,
        key=Key(of.secret_ref.name, of.secret_ref.key, of.header, of.prefix) if of is not None else None,
    )


def written(of: Target, signing: bytes = b"") -> str:
    """With a signature where there is a key for it."""
    text = msgspec.json.encode(of, order="deterministic").decode()
    return f"{_signature(text, signing)} {text}" if signing else text


def read(text: str, signing: bytes = b"") -> Target:
    """Raises ValueError: it is none, or not signed with that key: who could make one up could ask the processor for backends' keys."""
    if signing:
        signature, _, text = text.partition(" ")
        if not hmac.compare_digest(signature.encode(), _signature(text, signing).encode()):
            raise ValueError("not signed with the key of this AI gateway")
    return msgspec.json.decode(text, type=Target)


def _signature(text: str, signing: bytes) -> str:
    return hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
