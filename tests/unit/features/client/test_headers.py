"""Header settings of a listener: what is kept of them, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.features.client.headers.ir import ForwardedClientCert, Headers, HostSettings
from shared.features.client.headers.spec import HeadersSpec
from shared.features.client.headers.translate import host, translate
from shared.features.parts.faults import Faults
from shared.ir.match import AddHeader, StringMatch


def translated(**spec: Any) -> tuple[Headers, list[str]]:
    faults = Faults()
    made = translate(msgspec.convert(spec, HeadersSpec), faults)
    assert made is not None
    return made, faults.texts


def test_the_first_edit_of_a_name_counts_whatever_its_case() -> None:
    made, faults = translated(
        earlyRequestHeaders={
            "add": [{"name": "A", "value": "1"}, {"name": "a", "value": "2"}],
            "set": [{"name": "a", "value": "3"}, {"name": "b", "value": "4"}],
            "addIfAbsent": [{"name": "c", "value": "5"}],
            "remove": ["X", "x", "y"],
            "removeOnMatch": [{"type": "Prefix", "value": "z-"}],
        }
    )
    assert made.early_add_request_headers == (
        AddHeader(name="A", value=("1",), append=True),
        AddHeader(name="b", value=("4",)),
        AddHeader(name="c", value=("5",), add_if_absent=True),
    )
    assert made.early_remove_request_headers == ("X", "y")
    assert made.early_remove_request_headers_on_match == (StringMatch(prefix="z-"),)
    assert faults == []


def test_every_bad_edit_is_named_and_good_ones_stay() -> None:
    bad = [{"name": "", "value": "x"}, {"name": "a/b", "value": "x"}, {"name": "c", "value": "two\nlines"}]
    made, faults = translated(lateResponseHeaders={"set": [*bad, {"name": "good", "value": "x"}], "remove": [""]})
    assert [h.name for h in made.late_add_response_headers] == ["good"]
    assert len(faults) == 4
    assert all(text.startswith("Headers: LateResponseHeaders cannot ") for text in faults)


def test_a_format_that_envoy_cannot_read_is_named() -> None:
    made, faults = translated(earlyRequestHeaders={"set": [{"name": "a", "value": "100%"}, {"name": "b", "value": "%REQ(x)%"}]})
    assert [h.name for h in made.early_add_request_headers] == ["b"]
    assert "'%'" in faults[0]


def test_edits_without_any_effect_are_a_fault() -> None:
    assert "did not provide" in translated(earlyRequestHeaders={})[1][0]


def test_a_bad_regex_never_reaches_a_proxy() -> None:
    made, faults = translated(lateResponseHeaders={"removeOnMatch": [{"type": "RegularExpression", "value": "("}], "remove": ["x"]})
    assert made.late_remove_response_headers_on_match == ()
    assert "regex" in faults[0]


@pytest.mark.parametrize(("limit", "kib"), [("96Ki", 96), (1025, 2), ("8192Ki", 8192), ("8193Ki", None), ("1", None), ("1.5", None)])
def test_the_limit_of_headers_is_in_kibibytes_rounded_up(limit: str | int, kib: int | None) -> None:
    made, faults = translated(maxRequestHeaderLimit=limit)
    assert made.max_request_headers_kb == kib
    assert bool(faults) is (kib is None)


def test_details_of_certificates_only_where_they_are_written() -> None:
    def forwarded(mode: str) -> ForwardedClientCert | None:
        return translated(xForwardedClientCert={"mode": mode, "certDetailsToAdd": ["URI"]})[0].x_forwarded_client_cert

    assert forwarded("ForwardOnly") == ForwardedClientCert(mode="ForwardOnly")
    assert forwarded("SanitizeSet") == ForwardedClientCert(mode="SanitizeSet", cert_details_to_add=("URI",))


def test_the_older_word_on_request_ids_counts_where_the_newer_is_absent() -> None:
    assert translated(preserveXRequestID=True)[0].request_id == "PreserveOrGenerate"
    assert translated(preserveXRequestID=True, requestID="Disable")[0].request_id == "Disable"


def test_an_empty_host_setting_is_none() -> None:
    assert host(msgspec.convert({"host": {}}, HeadersSpec)) is None
    assert host(msgspec.convert({"host": {"stripTrailingHostDot": True}}, HeadersSpec)) == HostSettings(strip_trailing_host_dot=True)
