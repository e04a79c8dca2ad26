"""From AIRoutes, Gateways and their labels to the HTTPRoutes that lead there, and what is said about each. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from examples.ai_gateway.kinds import API_VERSION, GROUP, Invalid, ParentRef, RouteSpec, Rule, backend_spec, pattern, route_spec
from examples.ai_gateway.selection import Labels, LeftOut, Selector, left_out, listener_left_out
from examples.ai_gateway.target import MODEL_HEADER

GATEWAY_API = "gateway.networking.k8s.io"
CONTROLLER = f"{GROUP}/controller"
OWNED = f"{GROUP}/route"
"""Label of what is made here: the AIRoute that it was made for."""
_RULE = "rule-"
UNKNOWN = "model-unknown"
Raw = dict[str, Any]
At = tuple[str, str, str]
"""Kind, namespace and name."""


class Missing(NamedTuple):
    """A listener, or all of an object's (''), that an AIRoute would have led from."""

    kind: str
    object: str
    listener: str
    route: str
    why: LeftOut


class Compiled(NamedTuple):
    """`objects` for Headgate; `statuses` of AIRoutes and AIBackends; what is left out."""

    objects: tuple[Raw, ...]
    statuses: Mapping[At, Raw]
    missing: tuple[Missing, ...]


def rule_number(section: str) -> int | None:
    """Which of an AIRoute's rules a rule of its HTTPRoute stands for."""
    number = section.removeprefix(_RULE)
    return int(number) if section.startswith(_RULE) and number.isdigit() else None


def name_of(route: str) -> str:
    """What the HTTPRoute of an AIRoute is called; names have at most 253 characters."""
    made = f"{route}-ai"
    return made if len(made) <= 253 else f"{route[:230]}-{hashlib.sha256(route.encode()).hexdigest()[:16]}-ai"


def compiled(objects: Mapping[At, Raw], selector: Selector) -> Compiled:
    """`objects` are all that there are of the kinds that matter here."""
    made: list[Raw] = []
    statuses: dict[At, Raw] = {}
    missing: list[Missing] = []
    namespaces: dict[str, Labels] = {at[2]: raw["metadata"].get("labels") or {} for at, raw in objects.items() if at[0] == "Namespace"}
    for at, raw in sorted(objects.items()):
        if at[0] == "AIBackend":
            statuses[at] = _backend_status(objects, raw)
        elif at[0] == "AIRoute":
            found = _Route(objects, namespaces, selector, raw).compiled()
            made += found.objects
            statuses |= found.statuses
            missing += found.missing
    return Compiled(tuple(made), statuses, tuple(missing))


class _Route:
    """One AIRoute on its way."""

    def __init__(self, objects: Mapping[At, Raw], namespaces: Mapping[str, Labels], selector: Selector, raw: Raw) -> None:
        self._objects, self._namespaces, self._selector = objects, namespaces, selector
        self._raw = raw
        self.namespace, self.name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        self._missing: list[Missing] = []
        self._parents: list[Raw] = []

    def compiled(self) -> Compiled:
        at = ("AIRoute", self.namespace, self.name)
        try:
            spec = route_spec(self._raw)
        except Invalid as e:
            return Compiled((), {at: {"conditions": [self._condition("Accepted", False, "Invalid", str(e))]}}, ())
        refs = [ref for wanted in self._wanted(spec) for ref in self._resolved(wanted)]
        accepted = self._condition("Accepted", True, "Accepted", "the AIRoute is in use" if refs else "no Gateway of it is managed")
        status = {"conditions": [accepted], "parents": self._parents}
        objects = (http_route(self._raw, spec, refs),) if refs else ()
        return Compiled(objects, {at: status}, tuple(self._missing))

    def _wanted(self, spec: RouteSpec) -> Iterator[ParentRef]:
        if spec.parent_refs:
            yield from spec.parent_refs
            return
        for kind, namespace, name in sorted(self._objects):
            if kind in ("Gateway", "ListenerSet"):
                yield ParentRef(name=name, namespace=namespace, kind=kind)  # type: ignore[arg-type]

    def _resolved(self, ref: ParentRef) -> Iterator[Raw]:
        """The parentRefs that stand for one: none, itself, or one for each listener that is not left out."""
        namespace = ref.namespace or self.namespace
        raw = self._objects.get((ref.kind, namespace, ref.name))
        if raw is None:
            self._tell(ref, "", LeftOut("NotFound", f"{ref.kind} {namespace}/{ref.name} does not exist"))
            return
        parent = self._gateway_of(raw) if ref.kind == "ListenerSet" else None
        why = left_out(raw, self._namespaces, self._selector, parent)
        if why is not None:
            self._tell(ref, ref.section_name or "", why)
            return
        every = [str(each.get("name")) for each in raw.get("spec", {}).get("listeners") or ()]
        named = [ref.section_name] if ref.section_name else every
        gone = {name: why for name in named if (why := listener_left_out(raw, name)) is not None}
        for name, reason in gone.items():
            self._tell(ref, name, reason)
        written = {"group": ref.group, "kind": ref.kind, "namespace": namespace, "name": ref.name}
        served = [name for name in named if name not in gone]
        if not ref.section_name and not gone:
            yield written
        else:
            yield from ({**written, "sectionName": name} for name in served)
        if served or not named:
            self._parent(ref, None, self._condition("Managed", True, "Managed", "its listeners are served"))

    def _gateway_of(self, listener_set: Raw) -> Raw | None:
        ref = listener_set.get("spec", {}).get("parentRef") or {}
        return self._objects.get(("Gateway", ref.get("namespace") or listener_set["metadata"]["namespace"], ref.get("name", "")))

    def _tell(self, ref: ParentRef, listener: str, why: LeftOut) -> None:
        object_ = f"{ref.namespace or self.namespace}/{ref.name}"
        self._missing.append(Missing(ref.kind, object_, listener, f"{self.namespace}/{self.name}", why))
        self._parent(ref, listener or None, self._condition("Managed", False, why.reason, why.message))

    def _parent(self, ref: ParentRef, listener: str | None, condition: Raw) -> None:
        section = {"sectionName": listener or ref.section_name} if listener or ref.section_name else {}
        written = {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace or self.namespace, "name": ref.name, **section}
        self._parents.append({"parentRef": written, "controllerName": CONTROLLER, "conditions": [condition]})

    def _condition(self, kind: str, true: bool, reason: str, message: str) -> Raw:
        return condition(self._raw, kind, true, reason, message)


def condition(raw: Raw, kind: str, true: bool, reason: str, message: str) -> Raw:
    generation = raw["metadata"].get("generation")
    observed = {"observedGeneration": generation} if generation is not None else {}
    return {"type": kind, "status": "True" if true else "False", "reason": reason, "message": message, **observed}


def _backend_status(objects: Mapping[At, Raw], raw: Raw) -> Raw:
    try:
        spec = backend_spec(raw)
    except Invalid as e:
        return {"conditions": [condition(raw, "Accepted", False, "Invalid", str(e))]}
    out = [condition(raw, "Accepted", True, "Accepted", "the AIBackend can be used")]
    if spec.credentials is not None:
        of = spec.credentials.secret_ref
        secret = objects.get(("Secret", raw["metadata"]["namespace"], of.name))
        there = secret is not None and (of.key in (secret.get("data") or {}) or of.key in (secret.get("stringData") or {}))
        text = f"Secret {of.name} has the key {of.key}" if there else f"there is no Secret {of.name} with the key {of.key}"
        out.append(condition(raw, "ResolvedRefs", there, "ResolvedRefs" if there else "InvalidCredentials", text))
    return {"conditions": out}


def http_route(raw: Raw, spec: RouteSpec, parents: list[Raw]) -> Raw:
    """The HTTPRoute of an AIRoute: a rule for each of its rules, and one for models that it knows nothing of."""
    metadata = raw["metadata"]
    extension = {"type": "ExtensionRef", "extensionRef": {"group": GROUP, "kind": "AIRoute", "name": metadata["name"]}}
    rules = [_rule(n, rule, spec, extension) for n, rule in enumerate(spec.rules)]
    if not any("*" in rule.models for rule in spec.rules):
        # where a request is before it is known which model it is for, and stays when there is no route for that
        rules.append({**rules[0], "name": UNKNOWN, "matches": [{"path": _path(spec)}]})
    out: Raw = {"parentRefs": parents, "rules": rules}
    if spec.hostnames:
        out["hostnames"] = list(spec.hostnames)
    owned: Raw = {"name": name_of(metadata["name"]), "namespace": metadata["namespace"], "labels": {OWNED: _label(metadata["name"])}}
    if metadata.get("uid"):
        owner = {"apiVersion": API_VERSION, "kind": "AIRoute", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        owned["ownerReferences"] = [owner]
    return {"apiVersion": f"{GATEWAY_API}/v1", "kind": "HTTPRoute", "metadata": owned, "spec": out}


def _label(name: str) -> str:
    return name if len(name) <= 63 else hashlib.sha256(name.encode()).hexdigest()[:32]


def _path(spec: RouteSpec) -> Raw:
    return {"type": "PathPrefix", "value": spec.path_prefix}


def _rule(n: int, rule: Rule, spec: RouteSpec, extension: Raw) -> Raw:
    backends = [
        {"group": GROUP, "kind": "AIBackend", "name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
        for ref in rule.backends
    ]
    matches = [{"path": _path(spec), **({"headers": [_header(model)]} if model != "*" else {})} for model in rule.models]
    timeouts = {"timeouts": {"request": rule.timeouts.request}} if rule.timeouts.request else {}
    return {"name": f"{_RULE}{n}", "matches": matches, "filters": [extension], "backendRefs": backends, **timeouts}


def _header(model: str) -> Raw:
    if "*" not in model:
        return {"name": MODEL_HEADER, "value": model}
    return {"name": MODEL_HEADER, "type": "RegularExpression", "value": pattern(model)}
