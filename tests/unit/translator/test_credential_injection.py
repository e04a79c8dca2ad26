"""A credential travels sealed, from its Secret to the route that injects it."""

from __future__ import annotations

import base64
from typing import Any

from shared.core.refs import ObjectRef
from shared.features.route.credential_injection.ir import CredentialInjection
from tests.unit.translator.build import ENVOY, FLEET, GATEWAY_API, Object, World, made, quickstart, route

TOKEN = base64.b64encode(b"Bearer x").decode()
FILTER = {"type": "ExtensionRef", "extensionRef": {"group": ENVOY, "kind": "HTTPRouteFilter", "name": "inject"}}


def secret(key: str = "credential", namespace: str = "default") -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": namespace}, "data": {key: TOKEN}}


def inject(**ref: Any) -> Object:
    return made(
        f"{ENVOY}/v1alpha1", "HTTPRouteFilter", "inject", {"credentialInjection": {"credential": {"valueRef": {"name": "token", **ref}}}}
    )


def injected(*objects: Object) -> World:
    return World(*quickstart()[:2], *quickstart()[3:], route(rule={"filters": [FILTER]}), *objects)


def test_a_route_gets_the_token_as_it_is_stored() -> None:
    (only,) = injected(inject(), secret()).ir().http[0].routes
    assert only.credential_injection == CredentialInjection(name="httproutefilter/default/inject", credential=TOKEN)


def test_one_backend_alone() -> None:
    refs = [{"name": "app", "port": 80, "filters": [FILTER]}]
    world = World(*quickstart()[:2], *quickstart()[3:], route(rule={"backendRefs": refs}), inject(), secret())
    (only,) = world.ir().http[0].routes
    assert only.credential_injection is None
    assert only.destination is not None
    filters = only.destination.settings[0].filters
    assert filters is not None
    assert filters.credential_injection is not None


def test_what_cannot_be_resolved_answers_500() -> None:
    for world in (
        injected(inject(), secret("other")),
        injected(inject(kind="ConfigMap"), secret()),
        injected(inject(namespace="other"), secret(namespace="other")),
    ):
        assert world.condition(route(), "Accepted") == ("False", "UnsupportedValue")
        answer = world.ir().http[0].routes[0].direct_response
        assert answer is not None
        assert answer.status_code == 500


def test_another_namespaces_secret_needs_a_grant() -> None:
    spec = {"from": [{"group": ENVOY, "kind": "HTTPRouteFilter", "namespace": "default"}], "to": [{"group": "", "kind": "Secret"}]}
    grant = made(f"{GATEWAY_API}/v1", "ReferenceGrant", "g", spec, namespace="other")
    world = injected(inject(namespace="other"), secret(namespace="other"), grant)
    assert world.ir().http[0].routes[0].credential_injection is not None


def test_an_unknown_secret_holds_back_its_route_and_is_named_in_time() -> None:
    world = injected(inject(), route("other", "/other"))
    assert world.last.wants == {ObjectRef("", "Secret", "default", "token")}
    assert [r.metadata.name for r in world.ir().http[0].routes if r.metadata] == ["other"]
    assert "app" not in {ref.name for ref, _ in world.statuses}
    world.time = 2.5
    world.took(world.translator.deadline_pending())
    assert world.condition(route(), "Programmed") == ("False", "Pending")
    world.put(secret())
    assert world.condition(route(), "Accepted") == ("True", "Accepted")
    assert not world.last.pending
    assert "http.http.HTTPRoute.default.app" in world.shards[FLEET]
