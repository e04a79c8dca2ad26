"""IR -> command line and bootstrap of one Envoy, and who may have a port."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import pytest

from services.infra_manager.provider import CannotRender, find
from services.infra_manager.providers.host import ports
from services.infra_manager.providers.host.ports import claims
from services.infra_manager.providers.host.render import HostOptions, Port, ProxySpec, render
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra, ListenerPort, ProxyInfra, ProxyListener

GATEWAY = GatewayRef("default", "gw")
OPTIONS = HostOptions("/bin/envoy", "127.0.0.1", 18000, "/state/sds")


def rendered(spec: dict[str, Any] | None = None, **more: Any) -> ProxySpec:
    config = {"spec": spec} if spec is not None else None
    made = render(GATEWAY, Infra(proxy=ProxyInfra(name="default/gw", config=config, **more)), OPTIONS)
    assert made is not None
    return made


def option(spec: ProxySpec, name: str) -> str | None:
    return spec.arguments[spec.arguments.index(name) + 1] if name in spec.arguments else None


def test_defaults() -> None:
    spec = rendered()
    assert spec.arguments[0] == "/bin/envoy"
    assert option(spec, "--service-cluster") == "default/gw"
    assert option(spec, "--log-level") == "warn"
    assert option(spec, "--drain-time-s") == "60"
    assert "--disable-hot-restart" in spec.arguments
    assert spec.drain_seconds == 60
    bootstrap = json.loads(spec.bootstrap)
    assert bootstrap["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 0}
    assert "listeners" not in bootstrap["static_resources"]


def test_envoy_proxy_settings_reach_the_command_line() -> None:
    spec = rendered(
        {
            "logging": {"level": {"default": "debug", "upstream": "trace", "admin": "error"}},
            "concurrency": 3,
            "shutdown": {"drainTimeout": "1m30s"},
            "extraArgs": ["--disable-extensions", "x"],
        }
    )
    assert option(spec, "--log-level") == "debug"
    assert option(spec, "--component-log-level") == "admin:error,upstream:trace"
    assert option(spec, "--concurrency") == "3"
    assert option(spec, "--drain-time-s") == "90"
    assert spec.arguments[-2:] == ("--disable-extensions", "x")


def test_ports_are_where_envoy_binds() -> None:
    web = ListenerPort(name="w", protocol="HTTP", service_port=80, container_port=10080)
    dns = ListenerPort(name="d", protocol="UDP", service_port=53, container_port=10053)
    spec = rendered(listeners=(ProxyListener(name="a", ports=(web, dns)), ProxyListener(name="b", ports=(web,))))
    assert spec.ports == (Port(10053, "udp", "0.0.0.0"), Port(10080, "tcp", "0.0.0.0"))
    six = rendered({"ipFamily": "IPv6"}, listeners=(ProxyListener(name="a", ports=(web,)),))
    assert (six.ports, six.addresses) == ((Port(10080, "tcp", "::"),), ("::1",))


def test_a_new_port_needs_no_new_process_but_a_new_level_does() -> None:
    web = ListenerPort(name="w", protocol="HTTP", service_port=80, container_port=10080)
    assert rendered().key == rendered(listeners=(ProxyListener(name="a", ports=(web,)),)).key
    assert rendered().key != rendered({"logging": {"level": {"default": "debug"}}}).key


@pytest.mark.parametrize("spec", [{"bootstrap": {"type": "Merge", "value": "{"}}, {"shutdown": {"drainTimeout": "soon"}}])
def test_what_cannot_run_says_which_field(spec: dict[str, Any]) -> None:
    with pytest.raises(CannotRender, match=r"spec\.\w+"):
        rendered(spec)


def test_nothing_to_run_is_none() -> None:
    assert render(GATEWAY, Infra(), OPTIONS) is None


def test_the_first_fleet_has_the_port() -> None:
    one, two, three = (GatewayRef("default", n) for n in ("one", "two", "three"))
    web, other = Port(80, "tcp", "0.0.0.0"), Port(80, "udp", "0.0.0.0")
    assert claims({one: [web], two: [web], three: [other]}) == {two: "port 80 is already taken by Gateway default/one"}
    assert claims({two: [web], one: []}) == {}


def test_who_has_a_port_is_named_unless_it_is_the_envoy_itself() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = Port(s.getsockname()[1], "tcp", "0.0.0.0")
        assert ports.trouble(port, own=1) == ""
        s.listen()
        assert ports.trouble(port, own=1).startswith(f"port {port.number} is already taken")
        assert ports.trouble(port, own=os.getpid()) == ""


def test_providers_are_found_by_name() -> None:
    with pytest.raises(LookupError, match="Nowhere"):
        find("Nowhere")
