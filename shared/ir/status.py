"""What travels under `status.>`: parts of an object's status, addresses and readiness of fleets, who holds which version."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.ir.base import IR


class Condition(IR, frozen=True):
    """As metav1.Condition without lastTransitionTime, which only the status writer sets."""

    type: str
    status: str
    reason: str
    message: str = ""
    observed_generation: int = 0


class StatusPart(IR, frozen=True):
    """`status.<group>.<kind>.<ns>.<name>.<gateway>`: one Gateway's part of an object's status.

    `status` is the object's status as Kubernetes has it, holding only this Gateway's parents, ancestors or listeners.
    `gateway` is `<ns>/<name>`, '' for what belongs to no Gateway (a GatewayClass, an EnvoyProxy).
    """

    group: str
    kind: str
    namespace: str
    name: str
    gateway: str = ""
    generation: int = 0
    status: dict[str, Any] = msgspec.field(default_factory=dict)


class InfraStatus(IR, frozen=True):
    """`status.infra.<ns>.<name>`: where the fleet can be reached, and whether it runs."""

    addresses: tuple[str, ...] = ()
    ready: bool = False
    replicas: int = 0
    """That can be used now."""
    wanted: int = 0
    """How many there are or are to be; 0 where that is the same."""
    message: str = ""
    ports: dict[str, int] = msgspec.field(default_factory=dict)
    """Host infrastructure only: listener port -> the port really bound, where it had to differ."""


class Rejection(IR, frozen=True):
    """An Envoy's NACK, traced to the objects (ObjectRef strings `group/kind/ns/name`) whose change caused it."""

    type_url: str
    resource: str
    detail: str
    objects: tuple[str, ...] = ()


class PatchReport(IR, frozen=True):
    """What became of an EnvoyPatchPolicy: operations that failed, and resources (`<type>/<name>`) that are not there."""

    generation: int = 0
    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class ExtensionReport(IR, frozen=True):
    """What is wrong with an extension server: at most ten of the faults, each with its hook and resource.

    `fail_open`: what it was asked about goes out unchanged; otherwise as it last was, or not at all.
    """

    faults: tuple[str, ...] = ()
    fail_open: bool = False


class XdsStatus(IR, frozen=True):
    """`status.xds.<ns>.<name>.<replica>`: what one xds_server replica serves and which proxies hold which version."""

    version: int = 0
    proxies: dict[str, int] = msgspec.field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    patches: dict[str, PatchReport] = msgspec.field(default_factory=dict)
    """By `<namespace>/<name>` of the EnvoyPatchPolicy."""
    extensions: dict[str, ExtensionReport] = msgspec.field(default_factory=dict)
    """By name of the extension server; those that work are left out."""
