from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.sealing import Sealer, SealError, encode_key, is_sealed, new_key

KEY, NEXT = bytes(range(64)), bytes(range(64, 128))


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_and_does_not_show(plain: bytes) -> None:
    token = Sealer([KEY]).seal(plain)
    assert is_sealed(token)
    assert Sealer([NEXT, KEY]).open(token) == plain


def test_the_same_value_gives_the_same_token() -> None:
    assert Sealer([KEY]).seal(b"secret") == Sealer([KEY, NEXT]).seal(b"secret")
    assert Sealer([NEXT]).seal(b"secret") != Sealer([KEY]).seal(b"secret")


def test_rotation_seals_with_the_first_and_opens_with_all() -> None:
    old = Sealer([KEY]).seal(b"secret")
    rotated = Sealer([NEXT, KEY])
    assert rotated.open(old) == b"secret"
    with pytest.raises(SealError, match="not here"):
        Sealer([KEY]).open(rotated.seal(b"secret"))


@pytest.mark.parametrize("token", ["", "sealed:", "sealed:abc", "plain", "sealed:{id}:AAAA", "sealed:{id}:%%%"])
def test_a_damaged_token_is_an_error(token: str) -> None:
    name = Sealer([KEY]).seal(b"x").split(":")[1]
    with pytest.raises(SealError):
        Sealer([KEY]).open(token.format(id=name))


def test_nothing_secret_in_repr_or_errors(tmp_path: Path) -> None:
    sealer = Sealer([KEY])
    assert KEY.hex() not in repr(sealer)
    bad = tmp_path / "key"
    bad.write_text("s3cret not base64")
    with pytest.raises(SealError) as caught:
        Sealer.from_files([bad])
    assert "s3cret" not in str(caught.value)


def test_keys_come_from_files(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "key").write_text(encode_key(key))
    assert Sealer.from_files([tmp_path / "key"]).open(Sealer([key]).seal(b"x")) == b"x"


@pytest.mark.parametrize("keys", [[], [b"short"]])
def test_unusable_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(SealError):
        Sealer(keys)
