"""Our bootstrap is one that Envoy's messages take, and users may change everything but where configuration comes from."""

from __future__ import annotations

from typing import Any

import pytest

from shared.bootstrap.custom import MESSAGE, BadBootstrap, customise, validate
from shared.bootstrap.default import Options, default, sds_files
from shared.xds.message import from_json, to_json

VARIANTS = [
    Options(),
    Options(sds_dir="", admin_port=0, local_cluster="", stats_port=0),
    Options(stats_compression="Brotli", ipv4_compat=True, stats_host="::", by_token=True),
    Options(max_heap_bytes=1 << 30, zone="a", matches=(("Exact", "x"), ("Prefix", "y"), ("RegularExpression", "z.*"))),
]


@pytest.mark.parametrize("options", VARIANTS)
def test_the_default_is_a_bootstrap(options: Options) -> None:
    made = to_json(from_json(MESSAGE, default(options)))
    assert made["dynamicResources"]["adsConfig"]["apiType"] == "DELTA_GRPC"
    (xds,) = (c for c in made["staticResources"]["clusters"] if c["name"] == "xds_cluster")
    assert ("transportSocket" in xds) is bool(options.sds_dir)
    assert made["admin"]["address"]["socketAddress"]["address"] == "127.0.0.1"


def test_what_options_leave_out_is_not_there() -> None:
    made = default(VARIANTS[1])
    assert [c["name"] for c in made["static_resources"]["clusters"]] == ["xds_cluster"]
    assert "listeners" not in made["static_resources"]
    assert "cluster_manager" not in made
    assert [t["tag_name"] for t in made["stats_config"]["stats_tags"]] == ["socket_match_name", "priority"]
    zoned = default(Options(local_cluster="", zone="a"))
    assert [t["tag_name"] for t in zoned["stats_config"]["stats_tags"]][:2] == ["from_zone", "to_zone"]


def test_sds_files_name_the_folders_files() -> None:
    files = sds_files("/certs/envoy")
    for content in files.values():
        (resource,) = content["resources"]
        fields = {k: v for k, v in resource.items() if k != "@type"}
        from_json("envoy.extensions.transport_sockets.tls.v3.Secret", fields)
    assert "/certs/envoy/tls.key" in str(files["xds-certificate.json"])


def test_nothing_custom_changes_nothing() -> None:
    base = default(Options())
    assert customise(base, None) == base
    assert customise(base, {"type": "Merge"}) == base


def test_merge_adds_to_lists_and_fields() -> None:
    value = "stats_flush_interval: 7s\nstatic_resources: {clusters: [{name: mine, type: STATIC}]}"
    merged = customise(default(Options()), {"type": "Merge", "value": value})
    assert merged["statsFlushInterval"] == "7s"
    assert [c["name"] for c in merged["staticResources"]["clusters"]][-2:] == ["xds_cluster", "mine"]
    validate({"type": "Merge", "value": value})


def test_replace_is_the_default_type() -> None:
    assert customise(default(Options()), {"value": "node: {id: x}"}) == {"node": {"id": "x"}}


def test_json_patches_are_applied() -> None:
    patches = [{"op": "add", "path": "/node/locality/zone", "value": "z"}, {"op": "remove", "path": "/overload_manager"}]
    made = customise(default(Options()), {"type": "JSONPatch", "jsonPatches": patches})
    assert made["node"]["locality"]["zone"] == "z"
    assert "overload_manager" not in made
    validate({"type": "JSONPatch", "jsonPatches": patches})


@pytest.mark.parametrize(
    ("custom", "says"),
    [
        ({"type": "Replace", "value": "node: {id: x}"}, "dynamic_resources cannot be modified"),
        ({"type": "Merge", "value": "dynamic_resources: {ads_config: {api_type: GRPC}}"}, "dynamic_resources cannot be modified"),
        ({"type": "Merge", "value": "nonsense: 1"}, "nonsense"),
        ({"type": "Merge", "value": "a: {"}, "unable to parse"),
        ({"type": "Merge", "value": "just text"}, "no YAML object"),
        ({"type": "Other", "value": "{}"}, "unsupported bootstrap patch type Other"),
        ({"type": "JSONPatch", "jsonPatches": [{"op": "remove", "path": "/nowhere"}]}, "op=remove path=/nowhere"),
        ({"type": "JSONPatch", "jsonPatches": [{"op": "add", "jsonPath": "$..x", "value": 1}]}, "jsonPath is not supported"),
        ({"type": "JSONPatch", "jsonPatches": [{"op": "replace", "path": "", "value": []}]}, "no object"),
        (
            {
                "type": "JSONPatch",
                "jsonPatches": [{"op": "remove", "path": "/static_resources/clusters/2/load_assignment"}],
            },
            "loadAssignment cannot be modified",
        ),
    ],
)
def test_what_would_cut_envoy_off_or_is_no_bootstrap_is_refused(custom: dict[str, Any], says: str) -> None:
    with pytest.raises(BadBootstrap, match=says):
        validate(custom)


def test_a_timeout_of_the_first_fetch_may_be_changed() -> None:
    validate({"type": "Merge", "value": "dynamic_resources: {lds_config: {initial_fetch_timeout: 5s}}"})
