"""A proxy's pod learns in which zone it is: its binding to a node gets the node's zone as an annotation, which the pod then has.

Kubernetes tells a pod its own annotations, but nothing of its node; and a binding is the last moment before the pod starts. The answer is
always yes: a proxy that does not know its zone is better than none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from services.infra_manager.providers.kubernetes.compare import labels_of
from services.infra_manager.providers.kubernetes.render.naming import APP, gateway_of
from services.infra_manager.providers.kubernetes.render.plan import JSON
from services.infra_manager.providers.kubernetes.render.pod import ZONE_LABEL


class Bound(NamedTuple):
    """Which pod is bound to which node."""

    namespace: str
    pod: str
    node: str


def bound(review: Mapping[str, Any]) -> Bound | None:
    """Of an AdmissionReview; None where it is about something else."""
    request = review.get("request") or {}
    binding = request.get("object") or {}
    metadata, node = binding.get("metadata") or {}, (binding.get("target") or {}).get("name")
    namespace, pod = metadata.get("namespace") or request.get("namespace"), metadata.get("name") or request.get("name")
    return Bound(namespace, pod, node) if namespace and pod and node else None


def of_a_proxy(pod: Mapping[str, Any]) -> bool:
    labels = labels_of(pod)
    return all(labels.get(k) == v for k, v in APP.items()) and gateway_of(labels) is not None


def zone_of(node: Mapping[str, Any]) -> str:
    return labels_of(node).get(ZONE_LABEL, "")


def answer(review: Mapping[str, Any], zone: str) -> JSON:
    """The review's response; without a zone nothing is changed."""
    request = review.get("request") or {}
    response: JSON = {"uid": request.get("uid", ""), "allowed": True}
    if zone:
        # quoted, because it is put into the bootstrap as it is, and a zone may look like a number
        value = json.dumps(zone)
        there = ((request.get("object") or {}).get("metadata") or {}).get("annotations")
        path = "/metadata/annotations"
        patch: JSON = {"op": "add", "path": path, "value": {ZONE_LABEL: value}}
        if there:
            patch = {"op": "add", "path": f"{path}/{ZONE_LABEL.replace('/', '~1')}", "value": value}
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps([patch]).encode()).decode()}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
