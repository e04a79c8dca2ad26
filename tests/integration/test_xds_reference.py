"""What the translator makes of the reference cases goes to a real Envoy, one case replacing the other: Envoy takes all of it."""

from __future__ import annotations

import warnings

import pytest

from services.xds_server.server import XdsServer
from services.xds_server.settings import XdsSettings
from shared.core.refs import GatewayRef
from shared.testing.envoy import running_envoy
from shared.testing.wait import until
from tests.golden import measure
from tests.golden.adapter import open_plain, translated

EG = GatewayRef("default", "eg")
FAMILIES = ("httproute-attaching", "httproute-with", "gateway-with", "tls-")
# their input is broken in a way that only Envoy can see
REFUSED = {"gateway-with-listener-with-valid-tls-configuration"}


async def test_envoy_takes_what_the_reference_cases_become() -> None:
    cases = measure.golden()
    if cases is None:
        pytest.skip("no reference cases here")
    warnings.simplefilter("ignore")
    server = XdsServer(XdsSettings(), open_plain)
    port = await server.start("127.0.0.1:0")
    version = 0
    try:
        async with running_envoy(port):
            for case in cases.cases("translate"):
                if not case["name"].startswith(FAMILIES) or case["name"] in REFUSED:
                    continue
                try:
                    fleets = translated(case["objects"], case["settings"]).shards
                except Exception:
                    continue  # what the translator makes of a case is measured elsewhere
                for shards in fleets.values():
                    version += 1
                    server.update(EG, version, "test", {k: s for k, s in shards.items() if s is not None}, full=True)

                    def acknowledged(version: int = version) -> bool:
                        return server.status(EG).proxies == {"envoy-test": version}

                    await until(acknowledged)
                    assert server.status(EG).rejections == (), case["name"]
    finally:
        await server.stop(0)
    assert version > 50
