"""Patches of both kinds, and each directive of a strategic one."""

from __future__ import annotations

from typing import Any

import pytest

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes.render.merging import patched

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"a": "1"}, "finalizers": ["f"]},
    "spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {"name": "envoy", "ports": [{"containerPort": 1}], "env": [{"name": "A", "value": "1"}], "args": ["x", "y"]},
                    {"name": "other"},
                ],
                "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
                "tolerations": [{"key": "t"}],
            }
        },
    },
}


def strategic(value: dict[str, Any]) -> dict[str, Any]:
    return patched(DEPLOYMENT, {"type": "StrategicMerge", "value": value}, "envoyDeployment")


def pod(value: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = strategic({"spec": {"template": {"spec": value}}})["spec"]["template"]["spec"]
    return made


def test_members_are_found_by_their_keys() -> None:
    member = {"name": "envoy", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}], "ports": [{"containerPort": 2}]}
    made = pod({"containers": [member, {"name": "new"}]})
    assert [c["name"] for c in made["containers"]] == ["envoy", "other", "new"]
    envoy = made["containers"][0]
    assert envoy["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]
    assert envoy["ports"] == [{"containerPort": 1}, {"containerPort": 2}]
    assert envoy["args"] == ["x", "y"]


def test_other_lists_are_replaced() -> None:
    made = pod({"tolerations": [{"key": "u"}], "containers": [{"name": "envoy", "args": ["z"]}]})
    assert made["tolerations"] == [{"key": "u"}]
    assert made["containers"][0]["args"] == ["z"]


def test_directives() -> None:
    assert [c["name"] for c in pod({"containers": [{"name": "other", "$patch": "delete"}]})["containers"]] == ["envoy"]
    assert pod({"containers": [{"$patch": "replace"}, {"name": "only"}]})["containers"] == [{"name": "only"}]
    assert pod({"containers": [{"name": "envoy", "$patch": "replace", "image": "i"}]})["containers"][0] == {"name": "envoy", "image": "i"}
    recreate = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic(recreate)["spec"]["strategy"] == {"type": "Recreate"}
    replaced = strategic({"metadata": {"labels": {"$patch": "replace", "b": "2"}}})
    assert replaced["metadata"]["labels"] == {"b": "2"}
    volume = {"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}
    assert pod({"volumes": [volume]})["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_sets_of_plain_values() -> None:
    assert strategic({"metadata": {"finalizers": ["f", "g"]}})["metadata"]["finalizers"] == ["f", "g"]
    assert strategic({"metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]}})["metadata"]["finalizers"] == []


def test_null_takes_away_and_nothing_given_changes_nothing() -> None:
    assert "strategy" not in strategic({"spec": {"strategy": None}})["spec"]
    assert strategic({}) == DEPLOYMENT
    assert patched(DEPLOYMENT, None, "x") == patched(DEPLOYMENT, {"type": "JSONMerge"}, "x") == DEPLOYMENT


def test_a_json_merge_replaces_lists() -> None:
    value = {"spec": {"template": {"spec": {"containers": [{"name": "only"}]}}}}
    made = patched(DEPLOYMENT, {"type": "JSONMerge", "value": value}, "envoyDeployment")
    assert made["spec"]["template"]["spec"]["containers"] == [{"name": "only"}]
    assert made["spec"]["strategy"] == DEPLOYMENT["spec"]["strategy"]


@pytest.mark.parametrize(
    "value", [{"metadata": None}, {"metadata": {"name": None}}, {"spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}}]
)
def test_what_makes_no_object_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(CannotRender, match=r"envoyDeployment\.patch\.value"):
        strategic(value)
