"""`headgate certgen` in a cluster: the same keys as Secrets, under Envoy Gateway's names, and those of the bus.

What is there stays: a Secret that somebody made by hand (or with cert-manager, or Envoy Gateway before us) is theirs. Certificates of one
authority belong together: a set of which only a part is there cannot be completed, because the authority's key was thrown away.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from services.cli import exits
from services.cli.certgen import LOOPBACK, PARTS, Part, certificates
from services.cli.output import fail
from shared.bus.permissions import TABLE
from shared.core.sealing import encode_key, new_key
from shared.kube.client import CONFLICT, MERGE, NOT_FOUND, Kube, NoCluster, Refused, Unreachable

NATS = "headgate-nats"
"""The StatefulSet's and the Secret's name; `-headless` is the Service that gives each server its name."""
WEBHOOK = "envoy-gateway-topology-injector"
TLS, OPAQUE = "kubernetes.io/tls", "Opaque"
_FOLDERS = {"envoy-gateway": "envoy-gateway", "envoy": "envoy", "envoy-rate-limit": "envoy-ratelimit"}
"""Secret -> folder of the part in `certgen.PARTS`."""
MADE_BY, US = "app.kubernetes.io/managed-by", "headgate-certgen"
_INJECTOR = "headgate-infra-manager"

Data = Mapping[str, bytes]


class Kit(NamedTuple):
    """Secrets that are made together or not at all. `make()` -> data of each, by name."""

    names: tuple[str, ...]
    type: str
    make: Callable[[], Mapping[str, Data]]


class Incomplete(Exception):
    """Of a set that belongs together only a part is there."""


async def run(namespace: str, dns_domain: str, *, overwrite: bool, nats: bool, webhook: bool) -> list[str]:
    """The command; what was written. Ends with a clear error where that cannot be."""
    try:
        async with await Kube.connect("headgate-certgen") as kube:
            written = [
                f"Secret {name}" for name in await install(kube, namespace, kits(namespace, dns_domain, nats=nats), overwrite=overwrite)
            ]
            if webhook and await trust_webhook(kube, namespace):
                written.append(f"MutatingWebhookConfiguration {WEBHOOK}.{namespace}")
            return written
    except Incomplete as e:
        fail(str(e), "Delete those that are there, or say --overwrite; then restart what uses them.")
    except (NoCluster, Unreachable) as e:
        fail(str(e), "Is this the right kubeconfig, or does the pod have a service account?", exits.UNREACHABLE)
    except Refused as e:
        fail(str(e), f"It needs get, create and update of Secrets in {namespace}.")


def client_secret(service: str) -> str:
    """Whom a service is to NATS stands in this Secret."""
    return f"headgate-bus-{service}"


def kits(namespace: str, dns_domain: str, *, nats: bool = True) -> tuple[Kit, ...]:
    """All that an installation needs. Without `nats` it brings its own bus, and credentials for it."""

    def proxies() -> Mapping[str, Data]:
        parts = {p.folder: p for p in PARTS}
        control = parts["envoy-gateway"]
        parts["envoy-gateway"] = control._replace(hosts=(*control.hosts, *_service(_INJECTOR)))
        return _pairs({name: parts[folder] for name, folder in _FOLDERS.items()}, namespace, dns_domain)

    def bus() -> Mapping[str, Data]:
        peers = tuple(f"*.{name}" for name in _service(f"{NATS}-headless"))
        parts = {NATS: Part(NATS, NATS, (*_service(NATS), *peers, *LOOPBACK))}
        # the only name in a client's certificate is the user that it is to NATS
        parts |= {client_secret(s): Part(client_secret(s), s, (s,)) for s in TABLE}
        return _pairs(parts, namespace, dns_domain)

    made = [
        Kit(tuple(_FOLDERS), TLS, proxies),
        Kit(("envoy-oidc-hmac",), OPAQUE, lambda: {"envoy-oidc-hmac": {"hmac-secret": secrets.token_bytes(32)}}),
        Kit(("headgate-bus-key",), OPAQUE, lambda: {"headgate-bus-key": {"key": encode_key(new_key()).encode()}}),
    ]
    if nats:
        made.append(Kit((NATS, *map(client_secret, TABLE)), TLS, bus))
    return tuple(made)


async def install(kube: Kube, namespace: str, found: Iterable[Kit], *, overwrite: bool = False) -> list[str]:
    """Makes what is missing; the names of what was written. Raises Incomplete, Refused, Unreachable.

    A set of which this command made only a part, because it was interrupted or did not know of all, is made again whole.
    """
    written: list[str] = []
    for kit in found:
        there = {name: labels for name in kit.names if (labels := await _labels(kube, namespace, name)) is not None}
        if there.keys() == set(kit.names) and not overwrite:
            continue
        theirs = sorted(name for name, labels in there.items() if labels.get(MADE_BY) != US)
        if theirs and not overwrite:
            missing = ", ".join(sorted(kit.names - there.keys()))
            raise Incomplete(f"Secrets of one authority belong together: {', '.join(theirs)} found in {namespace}, but not {missing}")
        for name, data in kit.make().items():
            await _write(kube, namespace, name, kit.type, data, replace=name in there)
            written.append(name)
    return written


async def trust_webhook(kube: Kube, namespace: str) -> bool:
    """Tells the API server how to recognise the topology injector, where its webhook is installed; whether anything changed."""
    path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{WEBHOOK}.{namespace}"
    try:
        webhooks: list[dict[str, Any]] = msgspec.json.decode(await kube.get(path)).get("webhooks") or []
    except Refused as e:
        if e.code == NOT_FOUND:
            return False
        raise
    secret = msgspec.json.decode(await kube.get(_path(namespace, "envoy-gateway")))
    bundle = secret["data"]["ca.crt"]
    if all(w["clientConfig"].get("caBundle") == bundle for w in webhooks):
        return False
    changed = [{**w, "clientConfig": {**w["clientConfig"], "caBundle": bundle}} for w in webhooks]
    await kube.request("PATCH", path, body={"webhooks": changed}, content_type=MERGE)
    return True


def manifest(namespace: str, name: str, kind: str, data: Data) -> dict[str, Any]:
    labels = {"control-plane": "envoy-gateway", MADE_BY: US}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _service(name: str) -> tuple[str, ...]:
    """How a Service is called, from its own namespace to the cluster's whole domain."""
    return tuple(name + tail for tail in ("", ".{ns}", ".{ns}.svc", ".{ns}.svc.{dns}"))


def _pairs(parts: Mapping[str, Part], namespace: str, dns_domain: str) -> dict[str, Data]:
    ca, pairs = certificates(
        [part._replace(folder=name) for name, part in parts.items()], namespace=namespace, dns_domain=dns_domain, hosts=()
    )
    return {name: {"ca.crt": ca, "tls.crt": pair.certificate, "tls.key": pair.key} for name, pair in pairs.items()}


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")


async def _labels(kube: Kube, namespace: str, name: str) -> Mapping[str, str] | None:
    """None for a Secret that is not there."""
    try:
        found = msgspec.json.decode(await kube.get(_path(namespace, name)))
    except Refused as e:
        if e.code == NOT_FOUND:
            return None
        raise
    labels: Mapping[str, str] = found["metadata"].get("labels") or {}
    return labels


async def _write(kube: Kube, namespace: str, name: str, kind: str, data: Data, *, replace: bool) -> None:
    body = manifest(namespace, name, kind, data)
    if replace:
        await kube.request("PUT", _path(namespace, name), body=body)
        return
    try:
        await kube.request("POST", _path(namespace), body=body)
    except Refused as e:
        if e.code == CONFLICT:
            raise Incomplete(f"Secret {name} appeared in {namespace} meanwhile; another certgen is at work") from e
        raise
