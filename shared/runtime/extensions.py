"""Extension servers in the static configuration: what belongs to them, which hooks they are asked, and how they are reached.

Field names, defaults and meaning: gateway.envoyproxy.io/v1alpha1 ExtensionManager, v1.9. `faults` is what types alone cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from shared.core import durations, quantities
from shared.core.kinds import KINDS, KindInfo
from shared.runtime.part import Part

Hook = Literal["VirtualHost", "Route", "HTTPListener", "Cluster", "Endpoints", "Translation"]
GrpcStatus = Literal[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
DEFAULT_NAME: Final = "extension"
"""What the one server of `extensionManager` is called where it has no name."""
DEFAULT_MESSAGE_SIZE = 4 << 20
_LARGEST = (1 << 31) - 1
MOST_ATTEMPTS = 5


class GroupVersionKind(Part, frozen=True):
    group: str
    version: str
    kind: str


class Include(Part, frozen=True):
    include_all: bool | None = None


class TranslationConfig(Part, frozen=True):
    """What of a Gateway's resources the Translation hook gets, and may replace."""

    listener: Include | None = None
    route: Include | None = None
    cluster: Include | None = None
    secret: Include | None = None


class XdsTranslatorHooks(Part, frozen=True):
    """`pre` is accepted and has no meaning yet, as in Envoy Gateway."""

    pre: tuple[Hook, ...] = ()
    post: tuple[Hook, ...] = ()
    translation: TranslationConfig | None = None


class ExtensionHooks(Part, frozen=True):
    xds_translator: XdsTranslatorHooks | None = None


class FqdnEndpoint(Part, frozen=True):
    hostname: str
    port: int


class IpEndpoint(Part, frozen=True):
    address: str
    port: int


class UnixSocket(Part, frozen=True):
    path: str


class SecretRef(Part, frozen=True):
    name: str
    group: str = ""
    kind: str = "Secret"
    namespace: str | None = None


class ExtensionTls(Part, frozen=True):
    """Secrets: the authority that vouches for the server (`tls.crt`), and what is shown to it (`tls.crt`, `tls.key`)."""

    certificate_ref: SecretRef
    client_certificate_ref: SecretRef | None = None


class Fraction(Part, frozen=True):
    numerator: int
    denominator: int = 100


class ExtensionRetry(Part, frozen=True):
    """Durations are Go's. The list of codes is spelled with a capital in Envoy Gateway. However many attempts: gRPC makes no more than
    MOST_ATTEMPTS."""

    max_attempts: int | None = None
    initial_backoff: str | None = None
    max_backoff: str | None = None
    backoff_multiplier: Fraction | None = None
    retryable_status_codes: tuple[GrpcStatus, ...] = msgspec.field(default=(), name="RetryableStatusCodes")


class ExtensionService(Part, frozen=True):
    """One of `fqdn`, `ip`, `unix`, or the deprecated `host` (or `hostname`, which comes first) with `port`. `zone` has no meaning here."""

    hostname: str | None = None
    fqdn: FqdnEndpoint | None = None
    ip: IpEndpoint | None = None
    unix: UnixSocket | None = None
    zone: str | None = None
    host: str = ""
    port: int = 80
    tls: ExtensionTls | None = None
    retry: ExtensionRetry | None = None

    @property
    def address(self) -> str:
        """Where gRPC finds the server."""
        if self.unix is not None:
            return f"unix://{self.unix.path}"
        if self.fqdn is not None:
            return f"{self.fqdn.hostname}:{self.fqdn.port}"
        if self.ip is not None:
            host = f"[{self.ip.address}]" if ":" in self.ip.address else self.ip.address
            return f"{host}:{self.ip.port}"
        return f"{self.hostname or self.host}:{self.port}"


class ExtensionManager(Part, frozen=True):
    """`timeout` (a Go duration) is Headgate's own: how long one answer may take, with all its attempts. So is `generation`: any text; with
    another one everything is asked anew, for a server that would answer differently from before."""

    name: str = ""
    resources: tuple[GroupVersionKind, ...] = ()
    policy_resources: tuple[GroupVersionKind, ...] = ()
    backend_resources: tuple[GroupVersionKind, ...] = ()
    hooks: ExtensionHooks | None = None
    service: ExtensionService | None = None
    fail_open: bool = False
    max_message_size: quantities.Quantity | None = None
    timeout: str | None = None
    generation: str = ""

    @property
    def label(self) -> str:
        """By which conditions, metrics and what is kept name it."""
        return self.name or DEFAULT_NAME

    @property
    def asked(self) -> frozenset[str]:
        """The hooks that this server wants."""
        return (
            frozenset(self.hooks.xds_translator.post) if self.hooks is not None and self.hooks.xds_translator is not None else frozenset()
        )

    @property
    def largest(self) -> int:
        """Bytes of one message, either way."""
        return DEFAULT_MESSAGE_SIZE if self.max_message_size is None else quantities.whole(self.max_message_size) or DEFAULT_MESSAGE_SIZE

    def includes(self, what: Literal["listener", "route", "cluster", "secret"]) -> bool:
        """Whether the Translation hook gets these; clusters and secrets are given unless it is said otherwise."""
        hooks = self.hooks.xds_translator if self.hooks is not None else None
        found = getattr(hooks.translation, what) if hooks is not None and hooks.translation is not None else None
        said = found.include_all if found is not None else None
        return what in ("cluster", "secret") if said is None else bool(said)


def managers(one: ExtensionManager | None, several: tuple[ExtensionManager, ...]) -> tuple[ExtensionManager, ...]:
    """All extension servers, in the order in which they are asked."""
    return (one,) if one is not None else several


def known_kinds(of: tuple[ExtensionManager, ...]) -> Mapping[tuple[str, str], KindInfo]:
    """All kinds that a provider has to find: Headgate's own, and those of extension servers."""
    theirs = (k for m in of for k in (*m.resources, *m.policy_resources, *m.backend_resources))
    return {(k.group, k.kind): KindInfo(k.group, k.kind, version=k.version) for k in theirs} | dict(KINDS)


def faults(one: ExtensionManager | None, several: tuple[ExtensionManager, ...] | None) -> Iterator[str]:
    """What is wrong, each with its field's path."""
    if one is not None and several is not None:
        yield "extensionManagers: not expected beside extensionManager; use one of them"
    if one is not None:
        yield from _of_manager("extensionManager", one)
    if several == ():
        yield "extensionManagers: expected at least one entry"
    seen: set[str] = set()
    for n, each in enumerate(several or ()):
        at = f"extensionManagers[{n}]"
        if not each.name:
            yield f"{at}.name: expected a name"
        elif each.name in seen:
            yield f"{at}.name: {each.name!r} stands twice"
        seen.add(each.name)
        yield from _of_manager(at, each)


def _of_manager(at: str, of: ExtensionManager) -> Iterator[str]:
    hooks = of.hooks.xds_translator if of.hooks is not None else None
    if re.search(r"[\s>*]", of.name):
        yield f"{at}.name: expected letters, digits, '-' and '.', got {of.name!r}"
    if hooks is None or not (hooks.pre or hooks.post):
        yield f"{at}.hooks.xdsTranslator: expected at least one hook"
    for field, found in (
        ("resources", of.resources),
        ("policyResources", of.policy_resources),
        ("backendResources", of.backend_resources),
    ):
        for n, each in enumerate(found):
            if not (each.group and each.version and each.kind):
                yield f"{at}.{field}[{n}]: expected group, version and kind"
            elif (each.group, each.kind) in KINDS:
                yield f"{at}.{field}[{n}]: {each.kind} of {each.group} belongs to Headgate"
    if of.max_message_size is not None and not 1 <= (quantities.whole(of.max_message_size) or 0) <= _LARGEST:
        yield f"{at}.maxMessageSize: expected a number of bytes between 1 and {_LARGEST} such as 4M, got {of.max_message_size!r}"
    yield from _of_duration(f"{at}.timeout", of.timeout)
    if of.service is None:
        yield f"{at}.service: expected a section that says where the server is"
    else:
        yield from _of_service(f"{at}.service", of.service)


def _of_service(at: str, of: ExtensionService) -> Iterator[str]:
    given = [n for n in ("fqdn", "ip", "unix") if getattr(of, n) is not None] + (["host"] if of.host else [])
    # beside one of the others it has no meaning, and is no fault
    given = given or (["hostname"] if of.hostname else [])
    if len(given) != 1:
        yield f"{at}: expected exactly one of fqdn, ip, unix or host, got {', '.join(given) or 'none'}"
    for name, port in (("fqdn", of.fqdn), ("ip", of.ip)):
        if port is not None and not 0 < port.port < 1 << 16:
            yield f"{at}.{name}.port: expected a number between 1 and 65535"
    if of.tls is not None:
        yield from _of_tls(f"{at}.tls", of.tls)
    if of.retry is not None:
        yield from _of_retry(f"{at}.retry", of.retry)


def _of_tls(at: str, of: ExtensionTls) -> Iterator[str]:
    for name, ref in (("certificateRef", of.certificate_ref), ("clientCertificateRef", of.client_certificate_ref)):
        if ref is not None and (ref.group, ref.kind) != ("", "Secret"):
            yield f"{at}.{name}: expected a Secret of the core group, got {ref.kind} of {ref.group or 'the core group'}"


def _of_retry(at: str, of: ExtensionRetry) -> Iterator[str]:
    if of.max_attempts is not None and of.max_attempts < 1:
        yield f"{at}.maxAttempts: expected a number above 0"
    yield from _of_duration(f"{at}.initialBackoff", of.initial_backoff)
    yield from _of_duration(f"{at}.maxBackoff", of.max_backoff)
    many = of.backoff_multiplier
    if many is not None and (many.denominator <= 0 or many.numerator <= 0):
        yield f"{at}.backoffMultiplier: expected a fraction above 0"


def _of_duration(at: str, value: str | None) -> Iterator[str]:
    if value is None:
        return
    try:
        if durations.parse(value) <= 0:
            yield f"{at}: expected more than nothing, got {value!r}"
    except ValueError as e:
        yield f"{at}: {e} (expected for instance 100ms or 2s)"
