"""What certgen puts into a cluster: Envoy Gateway's Secrets under their names, and the bus's, each for one service."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509

from services.cli.cluster_secrets import Data, kits, manifest
from shared.core.sealing import read_key


def secrets(*, nats: bool = True) -> dict[str, tuple[str, Data]]:
    return {n: (kit.type, d) for kit in kits("apart", "example.org", nats=nats) for n, d in kit.make().items()}


def names(data: Data) -> list[str]:
    certificate = x509.load_pem_x509_certificate(data["tls.crt"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(data["ca.crt"]))
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_envoy_gateways_secrets_have_its_names_and_keys() -> None:
    made = secrets()
    for name in ("envoy-gateway", "envoy", "envoy-rate-limit"):
        kind, data = made[name]
        assert kind == "kubernetes.io/tls"
        assert data.keys() == {"ca.crt", "tls.crt", "tls.key"}
    assert made["envoy-oidc-hmac"][1].keys() == {"hmac-secret"}
    assert {made[n][1]["ca.crt"] for n in ("envoy", "envoy-rate-limit")} == {made["envoy-gateway"][1]["ca.crt"]}


def test_certificates_speak_for_the_namespace_and_the_domain_that_were_asked_for() -> None:
    made = secrets()
    assert "envoy-gateway.apart.svc.example.org" in names(made["envoy-gateway"][1])
    assert "headgate-infra-manager.apart.svc" in names(made["envoy-gateway"][1]), "the webhook is served there"
    assert {"headgate-nats.apart.svc.example.org", "*.headgate-nats-headless.apart.svc.example.org"} <= set(names(made["headgate-nats"][1]))


def test_a_service_is_one_user_of_nats_and_proxies_are_none() -> None:
    made = secrets()
    assert names(made["headgate-bus-translator"][1]) == ["translator"]
    assert made["headgate-bus-translator"][1]["ca.crt"] == made["headgate-nats"][1]["ca.crt"] != made["envoy"][1]["ca.crt"]


def test_the_key_of_the_bus_is_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(secrets()["headgate-bus-key"][1]["key"])
    assert len(read_key(tmp_path / "key")) == 64


def test_with_a_nats_of_their_own_there_is_nothing_for_it() -> None:
    assert sorted(secrets(nats=False)) == ["envoy", "envoy-gateway", "envoy-oidc-hmac", "envoy-rate-limit", "headgate-bus-key"]


def test_a_manifest_is_a_secret() -> None:
    made = manifest("apart", "a", "Opaque", {"k": b"\x00v"})
    assert base64.b64decode(made["data"]["k"]) == b"\x00v"
    assert made["metadata"]["namespace"] == "apart"
