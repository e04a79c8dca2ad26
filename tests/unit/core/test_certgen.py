"""Certificates: made once, kept, and made again as one set."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from services.cli.certgen import PARTS, SEALING_KEY, generate
from shared.core.sealing import Sealer


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert generate(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert generate(tmp_path) == []
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_every_part_is_signed_by_the_authority(tmp_path: Path) -> None:
    generate(tmp_path)
    ca = certificate(tmp_path / "ca.crt")
    for part in PARTS:
        pair = tmp_path / part.folder
        certificate(pair / "tls.crt").verify_directly_issued_by(ca)
        ssl.create_default_context(cafile=str(pair / "ca.crt")).load_cert_chain(pair / "tls.crt", pair / "tls.key")


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    generate(tmp_path)
    for path in (tmp_path / SEALING_KEY, tmp_path / "envoy" / "tls.key", tmp_path / "envoy-oidc-hmac" / "hmac-secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.rglob("ca.key"))


def test_what_ends_soon_is_made_again_but_keys_stay(tmp_path: Path) -> None:
    generate(tmp_path)
    serial = certificate(tmp_path / "ca.crt").serial_number
    key = (tmp_path / SEALING_KEY).read_bytes()
    later = datetime.now(UTC) + timedelta(days=365 * 5 - 10)
    written = generate(tmp_path, now=later)
    assert certificate(tmp_path / "ca.crt").serial_number != serial
    assert tmp_path / SEALING_KEY not in written
    assert (tmp_path / SEALING_KEY).read_bytes() == key
    Sealer.from_files([tmp_path / SEALING_KEY])


def test_a_new_host_and_a_lost_file_make_a_new_set(tmp_path: Path) -> None:
    generate(tmp_path)
    assert generate(tmp_path, hosts=("xds.example.com", "10.1.2.3"))
    names = certificate(tmp_path / "envoy-gateway" / "tls.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "xds.example.com" in names.get_values_for_type(x509.DNSName)
    assert "envoy-gateway.envoy-gateway-system.svc" in names.get_values_for_type(x509.DNSName)
    (tmp_path / "nats" / "tls.key").unlink()
    assert generate(tmp_path, hosts=("xds.example.com",))
