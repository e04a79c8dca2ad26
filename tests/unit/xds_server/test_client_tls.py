"""HTTP/3 beside TLS, fingerprints, revoked certificates, and listeners that refuse everything."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.features.client.http3.ir import Http3
from shared.ir.http import HttpListener
from shared.ir.tls import CaCertificate, Crl, ListenerTls, Sds, TlsCertificate
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

TLS = ListenerTls(certificates=(TlsCertificate(name="cert", certificate="YQ==", private_key="sealed:key"),))


def stored(listener: HttpListener) -> GatewayStore:
    store = b.store(validate=False)
    store.apply(1, b.encoded(b.gateway(1) | {b.LISTENER: listener}))
    return store


def made(store: GatewayStore, url: str) -> dict[str, dict[str, Any]]:
    return {n: to_json(decode(MESSAGES[url], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in store.snapshot()[url].items()}


def routes(store: GatewayStore) -> list[dict[str, Any]]:
    return [r for config in made(store, ROUTE).values() for host in config["virtualHosts"] for r in host["routes"]]


def test_http3_stands_beside_tcp_on_the_same_port_and_is_told_of() -> None:
    listener = b.listener(10443, tls=TLS, hostnames=("a.com",))
    store = stored(replace(listener, http3=Http3(), external_port=443))
    tcp, quic = made(store, LISTENER)["default/eg/http"], made(store, LISTENER)["default/eg/http-quic"]
    assert quic["address"]["socketAddress"] == {"protocol": "UDP", "address": "127.0.0.1", "portValue": 10443}
    assert tcp["address"]["socketAddress"]["portValue"] == 10443
    (chain,) = quic["filterChains"]
    assert chain["filterChainMatch"] == {"serverNames": ["a.com"]}
    assert chain["filters"][0]["typedConfig"]["codecType"] == "HTTP3"
    assert chain["transportSocket"]["typedConfig"]["downstreamTlsContext"]["commonTlsContext"]["alpnProtocols"] == ["h3"]
    assert "listenerFilters" not in quic
    headers = [h["header"] for r in routes(store) for h in r["responseHeadersToAdd"]]
    assert headers == [{"key": "alt-svc", "value": 'h3=":443"; ma=86400'}]
    store.apply(2, b.encoded({b.LISTENER: replace(listener, external_port=443)}))
    assert list(made(store, LISTENER)) == ["default/eg/http"]
    assert "responseHeadersToAdd" not in routes(store)[0]


def test_fingerprints_make_handshakes_be_looked_at() -> None:
    store = stored(b.listener(tls=replace(TLS, fingerprints=("JA4",))))
    (listener,) = made(store, LISTENER).values()
    (inspector,) = listener["listenerFilters"]
    assert inspector["typedConfig"]["enableJa4Fingerprinting"] is True
    assert "enableJa3Fingerprinting" not in inspector["typedConfig"]


def test_revoked_certificates_travel_with_their_authority() -> None:
    crl = Crl(name="crl", data=base64.b64encode(b"revoked").decode(), only_verify_leaf_certificate=True)
    store = stored(b.listener(tls=replace(TLS, ca_certificate=CaCertificate(name="ca", certificate="YQ=="), crl=crl)))
    context = made(store, SECRET)["ca"]["validationContext"]
    assert base64.b64decode(context["crl"]["inlineBytes"]) == b"revoked"
    assert context["onlyVerifyLeafCertCrl"] is True


@pytest.mark.parametrize("refused", [True, False])
def test_a_listener_that_refuses_answers_500_and_keeps_its_clusters(refused: bool) -> None:
    store = stored(replace(b.listener(), refused=refused))
    assert [r.get("directResponse") for r in routes(store)] == [{"status": 500} if refused else None]
    assert len(made(store, CLUSTER)) == 1


def test_a_certificate_of_another_server_is_asked_for_there() -> None:
    certificate = TlsCertificate(name="cert", sds=Sds(secret_name="default", scheme="unix", address="/run/" + "x" * 60))
    store = stored(b.listener(tls=ListenerTls(certificates=(certificate,))))
    (listener,) = made(store, LISTENER).values()
    context = listener["filterChains"][0]["transportSocket"]["typedConfig"]["commonTlsContext"]
    (source,) = context["tlsCertificateSdsSecretConfigs"]
    asked = source["sdsConfig"]["apiConfigSource"]["grpcServices"][0]["envoyGrpc"]["clusterName"]
    assert source["name"] == "default"
    assert made(store, CLUSTER)[asked]["loadAssignment"]["clusterName"] == asked
    assert len(asked) == len("sds_") + 48 + 1 + 32
    assert SECRET not in store.snapshot()
