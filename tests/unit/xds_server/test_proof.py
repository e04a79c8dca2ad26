"""Which proxy may have which Gateway's configuration."""

from __future__ import annotations

import pytest

from services.xds_server.proof import refusal, token_of
from shared.core.accounts import Account
from shared.core.refs import GatewayRef

SYSTEM = "envoy-gateway-system"


@pytest.mark.parametrize(
    ("who", "gateway", "allowed"),
    [
        (Account("default", "eg", "pod"), GatewayRef("default", "eg"), True),
        (Account("default", "own-name", "pod"), GatewayRef("default", "eg"), True),
        (Account("default", "eg", "other"), GatewayRef("default", "eg"), False),
        (Account("default", "eg"), GatewayRef("default", "eg"), False),
        (Account("else", "eg", "pod"), GatewayRef("default", "eg"), False),
        (Account("default", "eg", "pod"), GatewayRef("", "class"), False),
        (Account(SYSTEM, "merged", "pod"), GatewayRef("", "class"), True),
        (None, GatewayRef("default", "eg"), False),
    ],
)
def test_a_proxy_has_what_is_of_its_namespace_under_its_own_name(who: Account | None, gateway: GatewayRef, allowed: bool) -> None:
    assert (refusal(who, "pod", gateway, SYSTEM) is None) == allowed


@pytest.mark.parametrize(("value", "token"), [("Bearer t", "t"), ("bearer t", "t"), (b"Bearer t", "t"), ("t", "t"), (b"t", "t"), ("", "")])
def test_a_token_is_what_bears_it(value: str | bytes, token: str) -> None:
    assert token_of((("other", "Bearer x"), ("authorization", value))) == token
    assert token_of(()) == ""
