"""A real Kubernetes API server for tests: etcd and kube-apiserver as processes, certificates of their own, nothing else of a cluster."""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.cli.certgen import Part, certificates
from shared.testing.ports import free_port

ASSETS = "KUBEBUILDER_ASSETS"
TOKEN = "headgate-tests"
CRDS = Path(__file__).parents[3] / "shared" / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def assets() -> Path | None:
    folder = Path(os.environ.get(ASSETS, "/nonexistent"))
    return folder if (folder / "kube-apiserver").exists() and (folder / "etcd").exists() else None


def definition(group: str, kind: str, plural: str, *versions: str) -> dict[str, Any]:
    """A definition that takes anything; the first version is the one that is stored."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    each = {"served": True, "schema": schema, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [each | {"name": v, "storage": v == versions[0]} for v in versions],
        },
    }


class ApiServer:
    """`with ApiServer(folder) as server`: `server.kubeconfig` is a file, `server.http` a client that may do everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._etcd_ports = (free_port(), free_port())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(timeout=20)

    def __enter__(self) -> ApiServer:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        part = Part("server", "kube-apiserver", ("kubernetes",))
        ca, pairs = certificates([part], hosts=("localhost", "127.0.0.1"))
        for name, data in (("ca.crt", ca), ("server.crt", pairs["server"].certificate), ("server.key", pairs["server"].key)):
            (folder / name).write_bytes(data)
        (folder / "accounts.key").write_bytes(
            rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.http = httpx.Client(
            timeout=20,
            verify=ssl.create_default_context(cafile=str(folder / "ca.crt")),
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        cluster = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": base64.b64encode(ca).decode()}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        try:
            self.start_etcd()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(20)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start_etcd(self) -> None:
        client, peer = self._etcd_ports
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync=true",
        )

    def start(self) -> None:
        """Returns when it answers."""
        folder = self.folder
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_ports[0]}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tls-cert-file={folder / 'server.crt'}",
            f"--tls-private-key-file={folder / 'server.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            f"--cert-dir={folder}",
        )
        self._until_ready()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "ca.crt"))

    def kill(self) -> None:
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait(20)

    def _run(self, name: str, *arguments: str) -> None:
        folder = assets()
        assert folder is not None
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen([str(folder / name), *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _until_ready(self) -> None:
        end = time.monotonic() + 90
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if self.http.get("/readyz").status_code == 200:
                    return
            assert self._processes["kube-apiserver"].poll() is None, self.log("kube-apiserver")[-3000:]
            time.sleep(0.1)
        raise AssertionError(f"the API server is not ready:\n{self.log('kube-apiserver')[-3000:]}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # objects

    def install(self, *files: Path) -> None:
        """Custom resource definitions, until they are served."""
        names = []
        for file in files:
            for crd in yaml.load_all(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                if crd and crd.get("kind") == "CustomResourceDefinition":
                    self.apply(DEFINITIONS, crd)
                    names.append(crd["metadata"]["name"])
        end = time.monotonic() + 60
        while names and time.monotonic() < end:
            found = self.http.get(DEFINITIONS).json()["items"]
            ready = {
                c["metadata"]["name"]
                for c in found
                if any(x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ())
            }
            names = [n for n in names if n not in ready]
            if names:
                time.sleep(0.1)
        assert not names, f"not established: {names}"

    def uninstall(self, name: str) -> None:
        """A definition, until it is not served any more."""
        self.delete(f"{DEFINITIONS}/{name}")
        end = time.monotonic() + 30
        while self.http.get(f"{DEFINITIONS}/{name}").is_success:
            assert time.monotonic() < end, f"{name} is still there"
            time.sleep(0.05)

    def apply(self, path: str, obj: Mapping[str, Any], manager: str = "test") -> dict[str, Any]:
        """Server-side apply of one object below a collection's path."""
        answer = self.http.patch(
            f"{path}/{obj['metadata']['name']}",
            params={"fieldManager": manager, "force": "true"},
            content=yaml.safe_dump(obj),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, path: str) -> None:
        answer = self.http.delete(path)
        assert answer.is_success, answer.text
