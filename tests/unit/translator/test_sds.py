"""Secrets that stand at another server: who may use them, and what is not known of them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.ir.tls import Sds, TlsCertificate
from tests.unit.translator.build import Object, World, gateway, gateway_class, https
from tests.unit.translator.certificates import tls_secret


def elsewhere(name: str = "cert", url: str = "unix:///run/sds.sock", **data: str) -> Object:
    values = {"secretName": "default", "url": url, **data}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"},
        "type": "gateway.envoyproxy.io/sds",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()},
    }


def conditions(world: World, at: int = 0) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in world.status(gateway())["listeners"][at]["conditions"]}


@pytest.mark.parametrize(("url", "address"), [("unix:///run/sds.sock", "/run/sds.sock"), ("unix://./sds.sock", "./sds.sock")])
def test_a_certificate_of_another_server(url: str, address: str) -> None:
    world = World(gateway_class(), gateway(https()), elsewhere(url=url), sds=True)
    tls = world.ir().http[0].tls
    assert tls is not None
    assert tls.certificates == (TlsCertificate(name="default/cert", sds=Sds(secret_name="default", scheme="unix", address=address)),)


@pytest.mark.parametrize(
    ("secret", "settings"),
    [
        (elsewhere(), {}),
        (elsewhere(url="https://sds:443"), {"sds": True}),
        (elsewhere(url="unix://host/run"), {"sds": True}),
        (elsewhere(url="/run/sds.sock"), {"sds": True}),
        (elsewhere(secretName=""), {"sds": True}),
    ],
)
def test_what_cannot_be_asked_for_is_no_certificate(secret: Object, settings: dict[str, Any]) -> None:
    assert conditions(World(gateway_class(), gateway(https()), secret, **settings))["ResolvedRefs"] == "InvalidCertificateRef"


def test_certificates_that_nobody_can_read_keep_http_2_off_a_shared_port() -> None:
    listeners = gateway(https("a", hostname="a.com"), https("b", hostname="b.com", secret="own"))
    world = World(gateway_class(), listeners, elsewhere(), tls_secret("own"), sds=True)
    assert conditions(world)["OverlappingTLSConfig"] == "SDSCertificateOpaque"
    assert "OverlappingTLSConfig" not in conditions(world, 1)
    assert [each.tls_overlaps for each in world.ir().http] == [True, False]
