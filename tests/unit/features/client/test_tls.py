"""TLS settings of a listener over what its certificates and its Gateway say."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from shared.api.gateway import SecretObjectReference
from shared.features.client.tls.spec import ClientTlsSpec
from shared.features.client.tls.translate import Lookup, translate
from shared.features.parts.faults import Faults
from shared.ir.match import StringMatch
from shared.ir.tls import CaCertificate, Crl, ListenerTls, TlsCertificate

BEFORE = ListenerTls(certificates=(TlsCertificate(name="ns/cert"),))


def known(ref: SecretObjectReference) -> tuple[bytes, ...]:
    if ref.name == "missing":
        raise ValueError("it is not there")
    return (b"A", f"{ref.name}".encode())


def made(spec: dict[str, Any] | None, before: ListenerTls | None = BEFORE) -> tuple[ListenerTls, list[str]]:
    faults = Faults()
    found = translate(
        msgspec.convert(spec, ClientTlsSpec) if spec is not None else None,
        before,
        "ns/policy",
        Lookup(known, lambda ref: b"revoked by " + ref.name.encode()),
        faults,
    )
    assert found is not None
    return found, faults.texts


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_policy_without_a_word_on_tls_still_bounds_its_versions() -> None:
    assert made(None)[0] == msgspec.structs.replace(BEFORE, min_version="1.2", max_version="1.3")


def test_where_no_tls_ends_nothing_is_looked_at() -> None:
    faults = Faults()
    spec = msgspec.convert({"ciphers": ["none such"]}, ClientTlsSpec)
    assert translate(spec, None, "ns/policy", Lookup(known, lambda _: b""), faults) is None
    assert faults.texts == []


def test_no_protocols_are_something_else_than_the_default() -> None:
    assert made({"alpnProtocols": []})[0].alpn_protocols == ()
    assert made({})[0].alpn_protocols is None


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-CHACHA20-POLY1305", "TLS_RSA_WITH_AES_256_CBC_SHA", "AES128-GCM-SHA256"])
def test_ciphers_in_both_vocabularies(cipher: str) -> None:
    tls, faults = made({"ciphers": [cipher]})
    assert (tls.ciphers, faults) == ((cipher,), [])


def test_a_cipher_that_nobody_knows_is_named_and_versions_hold_nevertheless() -> None:
    tls, faults = made({"minVersion": "1.3", "ciphers": ["ROT13"]})
    assert (tls.min_version, tls.ciphers) == ("1.3", ())
    assert faults == ["TLS: unsupported cipher suite: ROT13"]


@pytest.mark.parametrize(
    ("validation", "required", "untrusted"),
    [
        ({"mode": "Request"}, False, True),
        ({"mode": "RequireAny"}, True, True),
        ({"mode": "VerifyIfGiven", "caCertificateRefs": [{"name": "x"}]}, False, False),
        ({"optional": True, "caCertificateRefs": [{"name": "x"}]}, False, False),
        ({"caCertificateRefs": [{"name": "x"}]}, True, False),
    ],
)
def test_what_clients_must_show(validation: dict[str, Any], required: bool, untrusted: bool) -> None:
    tls, faults = made({"clientValidation": validation})
    assert (tls.client_validation_enabled, tls.require_client_certificate, tls.accept_untrusted) == (True, required, untrusted)
    assert faults == []


def test_verifying_needs_an_authority() -> None:
    assert "requires caCertificateRefs" in made({"clientValidation": {"mode": "RequireAndVerify"}})[1][0]
    assert "it is not there" in made({"clientValidation": {"caCertificateRefs": [{"name": "missing"}]}})[1][0]


def test_authorities_are_joined_without_repeating_one() -> None:
    tls, _ = made({"clientValidation": {"caCertificateRefs": [{"name": "x"}, {"name": "y"}]}})
    assert tls.ca_certificate == CaCertificate(name="ns/policy/ca.crt", certificate=b64(b"Axy"))


def test_everything_that_a_client_certificate_can_be_checked_for() -> None:
    validation = {
        "caCertificateRefs": [{"name": "x"}],
        "spkiHashes": ["s"],
        "certificateHashes": ["h"],
        "allowExpiredCertificate": True,
        "crl": {"refs": [{"name": "c"}], "onlyVerifyLeafCertificate": True},
        "subjectAltNames": {
            "uris": [{"value": "u"}],
            "dnsNames": [{"type": "Suffix", "value": "d"}],
            "otherNames": [{"oid": "1.2", "value": "o"}],
        },
    }
    tls, faults = made({"clientValidation": validation})
    assert faults == []
    assert (tls.verify_certificate_spki, tls.verify_certificate_hash, tls.allow_expired_certificate) == (("s",), ("h",), True)
    assert tls.crl == Crl(name="ns/policy/ca.crl", data=b64(b"revoked by c"), only_verify_leaf_certificate=True)
    assert tls.match_typed_subject_alt_names == (
        StringMatch(name="DNS", suffix="d"),
        StringMatch(name="URI", exact="u"),
        StringMatch(name="1.2", exact="o"),
    )


def test_sessions_are_resumed_in_the_ways_that_are_asked_for() -> None:
    tls, _ = made({"session": {"resumption": {"stateless": {}}}})
    assert (tls.stateless_session_resumption, tls.stateful_session_resumption) == (True, False)
