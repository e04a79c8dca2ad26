"""What `headgate up` tells its children, and that they can read it."""

from __future__ import annotations

from pathlib import Path

from services.cli.up import plan
from services.cli.up.plan import Layout
from shared.runtime import load
from shared.runtime.config import EnvoyGateway, ExtensionApis, GatewaySection
from shared.runtime.settings import SERVICES

LAYOUT = Layout(Path("/state"))


def configuration(given: EnvoyGateway) -> EnvoyGateway:
    return plan.configuration(given, Path("/objects"), LAYOUT, 4222, Path("/state/certs/bus/key"))


def test_the_written_configuration_reads_back_as_it_was() -> None:
    made = configuration(EnvoyGateway(gateway=GatewaySection(controller_name="example.com/mine")))
    assert load.parse(plan.text(made)) == made
    assert made.gateway.controller_name == "example.com/mine"


def test_backends_are_on_unless_the_users_file_decides() -> None:
    assert configuration(EnvoyGateway()).extension_apis.enable_backend
    decided = EnvoyGateway(extension_apis=ExtensionApis(enable_envoy_patch_policy=True))
    assert not configuration(decided).extension_apis.enable_backend


def test_nats_comes_first_and_the_four_services_last() -> None:
    names = [c.name for c in plan.children(LAYOUT, Path("/bin/nats-server"), 18000, 18002, 9380)]
    assert names == ["nats-server", "example-backend", *SERVICES]
