"""What a user of Envoy Gateway wrote down of his first days with it, step by step, in his order."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from services.cli.certgen import Part, certificates
from tests.e2e.cluster import NAMESPACE, Answer, Cluster, of_gateway, until

PROJECT = "myproject"
USER = "/user/3f2504e0-4f89-41d3-9a0c-0305e82c3301/send"
KEY = ec.generate_private_key(ec.SECP256R1())
FILES = ("article-second.yaml", "article-internal.yaml", "article-jwt.yaml", "article-ext-authz.yaml", "article-routes.yaml")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwks() -> str:
    public = KEY.public_key().public_numbers()
    key = {"kty": "EC", "crv": "P-256", "kid": "k", "x": b64(public.x.to_bytes(32, "big")), "y": b64(public.y.to_bytes(32, "big"))}
    return json.dumps({"keys": [{**key, "alg": "ES256", "use": "sig"}]})


def token(**claims: object) -> str:
    body = {"iss": "https://id.mydomain.com/", "aud": "https://myorg.example.com/userinfo", "exp": int(time.time()) + 600, **claims}
    text = f"{b64(json.dumps({'alg': 'ES256', 'kid': 'k'}).encode())}.{b64(json.dumps(body).encode())}"
    r, s = decode_dss_signature(KEY.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture(scope="module")
def public(installed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Secret, the class, the Gateway with two proxies, the applications; the Gateway's address."""
    folder: Path = tmp_path_factory.mktemp("tls")
    _, pairs = certificates([Part("tls", "api.mydomain.tld", ("*.mydomain.tld",))], hosts=())
    for name, data in (("tls.crt", pairs["tls"].certificate), ("tls.key", pairs["tls"].key)):
        (folder / name).write_bytes(data)
    installed.kubectl("delete", "secret", "-n", NAMESPACE, "tls-certificate", "--ignore-not-found")
    installed.kubectl(
        "create", "-n", NAMESPACE, "secret", "tls", "tls-certificate", f"--key={folder / 'tls.key'}", f"--cert={folder / 'tls.crt'}"
    )
    installed.namespace(PROJECT)
    installed.apply(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "jwks", "namespace": PROJECT},
                "data": {"jwks.json": jwks()},
            }
        )
    )
    installed.apply_file("article-public.yaml")
    installed.apply_file("article-apps.yaml", image=installed.image)
    for name in ("backend", "grpc-api", "issuer"):
        installed.rolled_out("deployment", name, PROJECT)
    yield installed.address("eg")
    for file in (*FILES, "article-apps.yaml", "article-public.yaml"):
        installed.delete_file(file)
    until(lambda: installed.proxies("eg") == [], 120)


def ask(cluster: Cluster, address: str, host: str, path: str = "/", **headers: str) -> Answer:
    """As with `curl --resolve`."""
    return cluster.curl(f"https://{host}{path}", "--resolve", f"{host}:443:{address}", headers=headers)


def test_two_proxies_and_a_load_balancer(installed: Cluster, public: str) -> None:
    until(lambda: len(installed.proxies("eg")) == 2)
    (service,) = installed.items("service", selector=of_gateway("eg"))
    assert service["metadata"]["name"].startswith("envoy-envoy-gateway-system-eg-")
    assert service["spec"]["type"] == "LoadBalancer"
    assert [p["port"] for p in service["spec"]["ports"]] == [443]


def test_a_route_from_another_namespace(installed: Cluster, public: str) -> None:
    installed.apply_file("article-routes.yaml")
    answer = until(lambda: (a := ask(installed, public, "api.mydomain.tld", "/a")).status == 200 and a)
    assert answer.echo["host"] == "api.mydomain.tld"
    assert installed.is_true("httproute", "backend-routes", "Accepted", PROJECT)


def test_a_regular_expression_as_path(installed: Cluster, public: str) -> None:
    assert until(lambda: ask(installed, public, "users.mydomain.tld", USER).status == 200)
    assert ask(installed, public, "users.mydomain.tld", "/user/nobody/send").status == 404


def test_a_grpc_route(installed: Cluster, public: str) -> None:
    """An empty message, framed as gRPC does it, over HTTP/2."""

    host = "grpc-api.mydomain.tld"
    url = f"https://{host}/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    options = ("-s", "-k", "-m", "5", "--http2", "-D", "/dev/stderr", "-o", "/dev/null", "--data-binary", "@-")
    command = installed.reach("curl", *options, *headers, "--resolve", f"{host}:443:{public}", url)

    def call() -> bool:
        done = subprocess.run(command, input=bytes(5), capture_output=True, check=False, timeout=20)
        return b"HTTP/2 200" in done.stderr and b"grpc-status: 0" in done.stderr.lower()

    assert until(call)
    assert installed.is_true("grpcroute", "grpc-api", "Accepted", PROJECT)


def test_jwt_with_claims_to_headers(installed: Cluster, public: str) -> None:
    installed.apply_file("article-jwt.yaml")
    assert until(lambda: ask(installed, public, "users.mydomain.tld", USER).status == 401)
    good = {"Authorization": f"Bearer {token(azp='the-client')}"}
    answer = until(lambda: (a := ask(installed, public, "users.mydomain.tld", USER, **good)).status == 200 and a)
    assert answer.echo["headers"]["Client_id"] == ["the-client"]
    foreign = {"Authorization": f"Bearer {token(iss='https://else.example.com/')}"}
    assert ask(installed, public, "users.mydomain.tld", USER, **foreign).status == 401
    assert ask(installed, public, "api.mydomain.tld").status == 200, "the other route is open"


def test_external_authorization_by_a_patch(installed: Cluster, public: str) -> None:
    installed.apply_file("article-ext-authz.yaml")
    until(lambda: installed.is_true("envoypatchpolicy", "ext-authz-patch-policy", "Programmed"))
    # who would allow it does not answer
    assert until(lambda: ask(installed, public, "api.mydomain.tld").status == 403)
    installed.delete_file("article-ext-authz.yaml")
    assert until(lambda: ask(installed, public, "api.mydomain.tld").status == 200)


def test_the_bootstrap_replaced_and_the_admin_interface(installed: Cluster, public: str) -> None:
    (deployment,) = installed.items("deployment", selector=of_gateway("eg"))
    arguments = next(c for c in deployment["spec"]["template"]["spec"]["containers"] if c["name"] == "envoy")["args"]
    bootstrap = yaml.safe_load(arguments[arguments.index("--config-yaml") + 1])
    assert "enable_dispatcher_stats" not in bootstrap
    value = yaml.safe_dump({**bootstrap, "enable_dispatcher_stats": True})
    patch = {"spec": {"bootstrap": {"type": "Replace", "value": value}}}
    installed.kubectl("patch", "envoyproxy", "custom-proxy-config", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(patch))
    name = deployment["metadata"]["name"]
    until(lambda: installed.get("deployment", name)["metadata"]["generation"] > deployment["metadata"]["generation"])
    installed.rolled_out("deployment", name)

    def replaced() -> bool:
        with installed.forwarded(installed.proxies("eg")[0], 19000) as url:
            dump = until(lambda: _json(f"{url}/config_dump?resource=&mask=bootstrap"))
            return bool(dump["configs"][0]["bootstrap"]["enable_dispatcher_stats"])

    assert until(replaced, 120)
    assert ask(installed, public, "api.mydomain.tld").status == 200


def _json(url: str) -> object:
    try:
        return httpx.get(url).json()
    except httpx.HTTPError:
        return None


def free_cluster_ip(cluster: Cluster) -> str:
    """An address that the cluster gave out a moment ago and took back."""
    cluster.kubectl("create", "service", "clusterip", "place", "--tcp=80", "-n", PROJECT)
    address: str = cluster.get("service", "place", PROJECT)["spec"]["clusterIP"]
    cluster.kubectl("delete", "service", "place", "-n", PROJECT)
    return address


def test_an_internal_gateway_with_a_fixed_address(installed: Cluster, public: str) -> None:
    address = free_cluster_ip(installed)
    installed.apply_file("article-internal.yaml", address=address)
    assert installed.address("eg-internal") == address
    (service,) = installed.items("service", selector=of_gateway("eg-internal"))
    assert service["spec"]["type"] == "ClusterIP"
    assert service["spec"]["clusterIP"] == address
    assert "externalIPs" not in service["spec"]
    host = {"Host": "myapi.myproject.svc.cluster.local"}
    assert until(lambda: installed.curl(f"http://{address}/", headers=host).status == 200)
    assert installed.is_true("gatewayclass", "eg", "Accepted", "")
    assert installed.is_true("gatewayclass", "eg-internal", "Accepted", ""), "two classes of one controller"


def test_a_second_installation_beside_the_first(installed: Cluster, public: str) -> None:
    other = "envoy-gateway-internal"
    name = "config.envoyGateway.gateway.controllerName=gateway.envoyproxy.io/internal-gatewayclass-controller"
    installed.install_with_helm(name, release="eg-internal", namespace=other)
    try:
        installed.installed(other)
        installed.apply_file("article-second.yaml")
        address = installed.address("second", PROJECT)
        assert until(lambda: installed.curl(f"http://{address}/").status == 200)
        pods = installed.items("pod", other, of_gateway("second"))
        assert len(pods) == 1
        assert installed.items("pod", NAMESPACE, of_gateway("second")) == []
        assert ask(installed, public, "api.mydomain.tld").status == 200
    finally:
        installed.delete_file("article-second.yaml")
        until(lambda: installed.items("pod", other, of_gateway("second")) == [], 60)
        installed.uninstall_with_helm("eg-internal", other)
        installed.kubectl("delete", "namespace", other, "--wait=false")
