"""EnvoyPatchPolicies on rendered resources: what they reach, what they cost, and what is said of those that fail."""

from __future__ import annotations

from typing import Any

import pytest

from services.xds_server.render.types import CLUSTER, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.core.refs import ObjectRef
from shared.ir.base import encode
from shared.ir.patch import EnvoyPatchPolicy, JsonPatch, JsonPatchOperation, PatchShard
from shared.ir.shards import policy_key
from shared.ir.status import PatchReport
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

NAME = "default/eg/http"
BUFFER = "per_connection_buffer_limit_bytes"


def key(name: str = "patch") -> str:
    return policy_key(ObjectRef("", "EnvoyPatchPolicy", "default", name))


def patch(
    *operations: dict[str, Any], name: str = "patch", priority: int = 0, type_url: str = LISTENER, of: str = NAME
) -> dict[str, bytes]:
    patches = tuple(JsonPatch(type=type_url, name=of, operation=JsonPatchOperation(**o)) for o in operations)
    policy = EnvoyPatchPolicy(name=name, namespace="default", generation=1, json_patches=patches)
    return {key(name): encode(PatchShard(priority=priority, policy=policy))}


def stored(*shards: dict[str, bytes]) -> GatewayStore:
    store = b.store()
    changed: dict[str, bytes | None] = {**b.encoded(b.gateway(2))}
    for each in shards:
        changed |= each
    store.apply(1, changed)
    return store


def made(store: GatewayStore, url: str = LISTENER) -> dict[str, dict[str, Any]]:
    found = store.snapshot().get(url, {})
    return {n: to_json(decode(MESSAGES[url], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in found.items()}


def report(store: GatewayStore, name: str = "patch") -> PatchReport:
    return store.patch_reports[f"default/{name}"]


def test_a_patch_reaches_what_it_names_and_nothing_else() -> None:
    plain, store = stored(), stored(patch({"op": "replace", "path": f"/{BUFFER}", "value": 1024}))
    assert made(store)[NAME]["perConnectionBufferLimitBytes"] == 1024
    assert [made(store, url) for url in (CLUSTER, ROUTE)] == [made(plain, url) for url in (CLUSTER, ROUTE)]
    assert report(store) == PatchReport(generation=1)
    changes = store.apply(2, {key(): None})
    assert {url: list(c.upserts) for url, c in changes.items()} == {LISTENER: [NAME]}
    assert made(store) == made(plain)


def test_lower_priorities_come_first() -> None:
    store = stored(
        patch({"op": "replace", "path": f"/{BUFFER}", "value": 1}, name="a", priority=5),
        patch({"op": "replace", "path": f"/{BUFFER}", "value": 2}, name="b", priority=-5),
    )
    assert made(store)[NAME]["perConnectionBufferLimitBytes"] == 1


def test_an_operation_that_fails_leaves_the_others() -> None:
    store = stored(
        patch(
            {"op": "replace", "path": "/no_such_field", "value": 1},
            {"op": "add", "path": "/no_such_field", "value": 1},
            {"op": "add", "path": f"/{BUFFER}", "value": "many"},
            {"op": "remove", "path": f"/{BUFFER}", "value": 1},
            {"op": "test", "path": "/name", "value": "another"},
            {"op": "replace", "json_path": "", "path": "/name", "value": "another"},
            {"op": "replace", "path": f"/{BUFFER}", "value": 7},
        )
    )
    assert made(store)[NAME]["perConnectionBufferLimitBytes"] == 7
    assert len(report(store).faults) == 6


def test_what_envoy_would_refuse_is_not_sent() -> None:
    store = stored(patch({"op": "remove", "json_path": "..virtual_hosts[0].domains"}, type_url=ROUTE))
    assert made(store, ROUTE) == made(stored(), ROUTE)
    assert "validation failed" in report(store).faults[0]


def test_every_place_that_a_json_path_means_is_patched() -> None:
    store = stored(
        patch({"op": "add", "json_path": "..virtual_hosts[*]", "path": "include_request_attempt_count", "value": True}, type_url=ROUTE)
    )
    (config,) = made(store, ROUTE).values()
    assert [h["includeRequestAttemptCount"] for h in config["virtualHosts"]] == [True] * len(config["virtualHosts"])


def test_all_that_a_json_path_means_can_be_removed_from_a_list() -> None:
    filters = "$.default_filter_chain.filters[0].typed_config.http_filters"
    flt = {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}
    store = stored(
        patch(
            {"op": "add", "json_path": filters, "path": "/0", "value": flt},
            {"op": "add", "json_path": filters, "path": "/0", "value": flt},
            {"op": "remove", "json_path": f"{filters}[?@.name=='x']"},
        )
    )
    assert made(store) == made(stored())
    assert report(store).faults == ()


def test_a_whole_resource_is_added_and_goes_with_its_policy() -> None:
    cluster = {"name": "extra", "type": "STATIC", "connect_timeout": "1s"}
    store = stored(patch({"op": "add", "path": "", "value": cluster}, type_url=CLUSTER, of="extra"))
    assert made(store, CLUSTER)["extra"]["connectTimeout"] == "1s"
    store.apply(2, {key(): None})
    assert "extra" not in made(store, CLUSTER)


def test_a_resource_that_is_not_there_is_said_and_patched_when_it_comes() -> None:
    store = stored(patch({"op": "replace", "path": f"/{BUFFER}", "value": 9}, of="default/eg/late"))
    assert report(store).missing == (f"{LISTENER}/default/eg/late",)
    store.apply(2, b.encoded({b.LISTENER: b.listener(name="late")}))
    assert made(store)["default/eg/late"]["perConnectionBufferLimitBytes"] == 9
    assert report(store).missing == ()


def test_a_renamed_resource_has_one_name() -> None:
    store = stored(patch({"op": "replace", "path": "/name", "value": "mine"}))
    assert [n for n in made(store) if n in (NAME, "mine")] == ["mine"]


def test_what_patches_do_not_name_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stored(patch({"op": "replace", "path": f"/{BUFFER}", "value": 1024}))
    done: list[int] = []
    monkeypatch.setattr("services.xds_server.patching.patched", lambda *_: done.append(1))
    store.apply(2, b.encoded({b.backend_key("app-0"): b.backend(("10.9.9.9", 80))}))
    assert done == []


@pytest.mark.parametrize(
    "operation", [{"op": "add", "path": "", "value": {"name": "system_ca_certificates"}}, {"op": "remove", "path": "/x"}]
)
def test_the_systems_trust_store_is_nobodys(operation: dict[str, Any]) -> None:
    store = stored(patch(operation, type_url=SECRET, of="system_ca_certificates"))
    assert "system_ca_certificates" not in made(store, SECRET)
    assert report(store).faults or report(store).missing


def test_a_patch_is_the_first_to_be_suspected_of_what_it_touches() -> None:
    store = stored()
    store.accept()
    change = patch({"op": "replace", "path": f"/{BUFFER}", "value": 1024})
    store.apply(2, {**change, **b.encoded({b.LISTENER: b.listener(port=10081)})})
    assert store.suspects_of((LISTENER, NAME))[0] == (key(),)
    store.quarantine([key()])
    assert made(store)[NAME]["perConnectionBufferLimitBytes"] != 1024
