"""A cluster as its users have it: kubectl, helm, and a way to send requests to addresses that only the cluster knows."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from shared.testing.ports import free_port

REPOSITORY = Path(__file__).parents[2]
OBJECTS = Path(__file__).parent / "objects"
DEPLOY = REPOSITORY / "deploy" / "k8s"
NAMESPACE = "envoy-gateway-system"
SERVICES = ("resource-watcher", "translator", "xds-server", "infra-manager")
PUBLISHED = "docker.io/headgate/headgate:0.1.0"
"""The image that the manifests name."""


class Answer(NamedTuple):
    """Status 0: no answer."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def echo(self) -> dict[str, Any]:
        """What the echo server says of the request that it got."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def until(condition: Callable[[], Any], deadline: float = 60.0, every: float = 0.25) -> Any:
    """What the condition gives when it is true; an AssertionError with its last value or error after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        try:
            value = condition()
        except (subprocess.CalledProcessError, KeyError, IndexError, json.JSONDecodeError) as e:
            value, last = None, f"{e} {getattr(e, 'stderr', '')}"
        else:
            last = repr(value)
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not true within {deadline} s: {last[-2000:]}")
        time.sleep(every)


def of_gateway(name: str) -> str:
    """Selects what belongs to the proxies of a Gateway."""
    return f"gateway.envoyproxy.io/owning-gateway-name={name}"


def fetched(url: str) -> Any:
    """JSON; None where nothing answers yet."""
    try:
        return httpx.get(url).json()
    except httpx.HTTPError:
        return None


class Cluster:
    """`inside`: what goes before a command that must reach pod, Service and LoadBalancer addresses."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.inside = shlex.split(os.environ.get("HEADGATE_E2E_EXEC", ""))

    # kubectl

    def kubectl(self, *arguments: str, text: str | None = None, timeout: float = 180) -> str:
        """Its output. Raises CalledProcessError."""
        done = subprocess.run(["kubectl", *arguments], input=text, check=True, capture_output=True, text=True, timeout=timeout)
        return done.stdout

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def items(self, kind: str, namespace: str = NAMESPACE, selector: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-n", namespace, "-l", selector, "-o", "json"))["items"]
        return found

    def staying(self, selector: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Pods, without those that are on their way out."""
        return [p for p in self.items("pod", namespace, selector) if "deletionTimestamp" not in p["metadata"]]

    def apply(self, text: str, **values: str) -> None:
        """Manifests, with `$name` for each value."""
        for name, value in values.items():
            text = "".join([text.replace(f"${name}", value)])
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)

    def apply_file(self, name: str, **values: str) -> None:
        self.apply((OBJECTS / name).read_text(), **values)

    def delete_file(self, name: str) -> None:
        self.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", str(OBJECTS / name))

    def namespace(self, name: str) -> None:
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))

    def rolled_out(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        self.kubectl("rollout", "status", f"{kind}/{name}", "-n", namespace, "--timeout", "120s")

    def condition(self, kind: str, name: str, condition: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        """KeyError where it is not there. Of the first parent or ancestor, where the status has such."""
        found = self.get(kind, name, namespace)
        status = found.get("status") or {}
        entries = [*status.get("parents", ()), *status.get("ancestors", ())]
        conditions = (entries[0] if entries else status).get("conditions") or ()
        each: dict[str, Any] = {c["type"]: c for c in conditions}[condition]
        if each.get("observedGeneration", 0) != found["metadata"]["generation"]:
            raise KeyError("of an older generation")
        return each

    def is_true(self, kind: str, name: str, condition: str, namespace: str = NAMESPACE) -> bool:
        return bool(self.condition(kind, name, condition, namespace)["status"] == "True")

    def address(self, gateway: str, namespace: str = NAMESPACE) -> str:
        """Where the Gateway is reached, once it is programmed."""

        def programmed() -> str:
            found = self.get("gateway", gateway, namespace)
            ready = self.is_true("gateway", gateway, "Programmed", namespace)
            return str(found["status"]["addresses"][0]["value"]) if ready else ""

        return str(until(programmed, 120))

    def proxies(self, gateway: str) -> list[str]:
        """Names of the pods, without those that are on their way out."""
        return [p["metadata"]["name"] for p in self.staying(of_gateway(gateway))]

    # requests

    def reach(self, *command: str) -> list[str]:
        return [*self.inside, *command]

    def curl(self, url: str, *options: str, headers: Mapping[str, str] | None = None) -> Answer:
        marks = [o for k, v in (headers or {}).items() for o in ("-H", f"{k}: {v}")]
        command = self.reach("curl", "-s", "-S", "-k", "-m", "5", "-D", "/dev/stderr", *marks, *options, url)
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        lines = done.stderr.splitlines()
        firsts = [n for n, line in enumerate(lines) if line.startswith("HTTP/")]
        if not firsts:
            return Answer(0, {}, done.stderr)
        head = lines[firsts[-1] :]
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if v}
        return Answer(int(head[0].split()[1]), fields, done.stdout)

    @contextmanager
    def forwarded(self, pod: str, port: int) -> Iterator[str]:
        """A URL on this machine for a port of a pod."""
        own = free_port()
        command = ["kubectl", "-n", NAMESPACE, "port-forward", f"pod/{pod}", f"{own}:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{own}"
        finally:
            process.terminate()
            process.wait(10)

    # installing

    def install_with_kustomize(self, folder: str = "base") -> None:
        text = self.kubectl("kustomize", str(DEPLOY / folder)).replace(PUBLISHED, self.image)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)

    def uninstall_with_kustomize(self, folder: str = "base") -> None:
        text = self.kubectl("kustomize", str(DEPLOY / folder))
        # with the namespace, for which a cluster that has much else to do may take minutes
        self.kubectl("delete", "--ignore-not-found", "-f", "-", text=text, timeout=600)

    def install_with_helm(self, *values: str, release: str = "headgate", namespace: str = NAMESPACE) -> None:
        sets = [a for v in (f"global.images.envoyGateway.image={self.image}", *values) for a in ("--set", v)]
        command = ["helm", "upgrade", "--install", release, str(DEPLOY / "chart"), "-n", namespace, "--create-namespace", *sets]
        done = subprocess.run([*command, "--timeout", "3m"], capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr

    def uninstall_with_helm(self, release: str = "headgate", namespace: str = NAMESPACE) -> None:
        subprocess.run(["helm", "uninstall", release, "-n", namespace, "--wait"], capture_output=True, timeout=240, check=False)

    def installed(self, namespace: str = NAMESPACE) -> None:
        """Returns when all parts are ready."""
        self.rolled_out("statefulset", "headgate-nats", namespace)
        for service in SERVICES:
            self.rolled_out("deployment", f"headgate-{service}", namespace)
