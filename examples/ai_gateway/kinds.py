"""AIRoute and AIBackend: what users write, checked, with what they leave out filled in. No I/O.

The same rules stand in crds.yaml; here they hold for objects from files, too.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

GROUP = "ai-gateway.envoyproxy.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
MOST_RULES, MOST_MODELS = 14, 8
"""An HTTPRoute has at most 16 rules, of which one is for models that nobody serves, and 8 matches a rule."""


class Invalid(ValueError):
    """What is wrong with an object, with its field's path."""


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class ParentRef(Part, frozen=True):
    name: str
    namespace: str | None = None
    kind: Literal["Gateway", "ListenerSet"] = "Gateway"
    group: str = "gateway.networking.k8s.io"
    section_name: str | None = None


class BackendRef(Part, frozen=True):
    """`model`: what the model is called there, where its name is another one."""

    name: str
    namespace: str | None = None
    model: str | None = None


class Timeouts(Part, frozen=True):
    """Durations of the Gateway API; without one a request may take as long as it wants."""

    request: str | None = None


class Rule(Part, frozen=True):
    """`models`: names, with `*` for any text. The first of `backends` is asked; when it fails, the next."""

    backends: tuple[BackendRef, ...]
    models: tuple[str, ...] = ("*",)
    timeouts: Timeouts = Timeouts()


class RouteSpec(Part, frozen=True):
    """Without `parentRefs`: all Gateways and ListenerSets that are managed."""

    rules: tuple[Rule, ...]
    parent_refs: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    path_prefix: str = "/v1"


class SecretRef(Part, frozen=True):
    """A key of a Secret in the backend's own namespace."""

    name: str
    key: str = "apiKey"


class Credentials(Part, frozen=True):
    """`header` and `prefix` only where the schema's own are not the right ones."""

    secret_ref: SecretRef
    header: str | None = None
    prefix: str | None = None


class Tls(Part, frozen=True):
    """Without `caCertificate` (PEM) the system's authorities vouch for the backend. `hostname`: where it is not the endpoint's."""

    hostname: str | None = None
    ca_certificate: str | None = None


class Endpoint(Part, frozen=True):
    host: str
    port: int = 443


class Usage(Part, frozen=True):
    """JSON pointers into a response, or into each event of a stream."""

    input: str = ""
    output: str = ""


class Generic(Part, frozen=True):
    """A server with a JSON protocol of its own, which clients have to speak: requests pass through but for these.

    `path`: where requests go; without one, where the client sent them. `modelField`: JSON pointer of the model's name in a request.
    """

    path: str | None = None
    model_field: str = "/model"
    usage: Usage = Usage()


class BackendSpec(Part, frozen=True):
    endpoint: Endpoint
    schema: Literal["OpenAI", "Anthropic", "Generic"] = "OpenAI"
    prefix: str | None = None
    """Where the API begins on the server; /v1 for OpenAI and Anthropic."""
    credentials: Credentials | None = None
    tls: Tls | None = None
    generic: Generic = Generic()
    models: dict[str, str] = {}
    """What models are called there, by the name that clients use."""


def pattern(model: str) -> str:
    """A regular expression for a name with `*` in it."""
    return ".*".join(re.escape(part) for part in model.split("*"))


def route_spec(raw: dict[str, Any]) -> RouteSpec:
    """An AIRoute's spec. Raises Invalid."""
    spec: RouteSpec = _converted(raw.get("spec"), RouteSpec)
    if not spec.rules:
        raise Invalid("spec.rules: expected at least one")
    if len(spec.rules) > MOST_RULES:
        raise Invalid(f"spec.rules: expected at most {MOST_RULES}, got {len(spec.rules)}")
    if not spec.path_prefix.startswith("/"):
        raise Invalid("spec.pathPrefix: expected a path that begins with /")
    for n, rule in enumerate(spec.rules):
        if not rule.backends:
            raise Invalid(f"spec.rules[{n}].backends: expected at least one")
        if not 0 < len(rule.models) <= MOST_MODELS:
            raise Invalid(f"spec.rules[{n}].models: expected 1 to {MOST_MODELS}, got {len(rule.models)}")
        names = [(b.namespace, b.name) for b in rule.backends]
        if len(set(names)) < len(names):
            raise Invalid(f"spec.rules[{n}].backends: one stands twice")
    return spec


def backend_spec(raw: dict[str, Any]) -> BackendSpec:
    """An AIBackend's spec. Raises Invalid."""
    spec: BackendSpec = _converted(raw.get("spec"), BackendSpec)
    if not 0 < spec.endpoint.port < 1 << 16:
        raise Invalid("spec.endpoint.port: expected a number between 1 and 65535")
    return spec


def _converted(raw: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(raw or {}, kind)
    except msgspec.ValidationError as e:
        raise Invalid(str(e).replace("`$", "`spec")) from None
