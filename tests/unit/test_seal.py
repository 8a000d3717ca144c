"""The seal: old keys open, the newest seals, and nobody else opens anything."""

from datetime import UTC, datetime

from common.security.secret_box import MARK, SecretBox, _fernet, open_secret_box, place_of, set_at
from common.settings import Settings


def test_old_keys_open_and_the_newest_seals() -> None:
    old, both, new = SecretBox("older"), SecretBox("newest", ["older", "oldest"]), SecretBox("newest")
    sealed = old.encrypt("sk-1")
    assert both.decrypt(sealed) == "sk-1" and new.decrypt(sealed) is None
    assert new.decrypt(both.encrypt("sk-2")) == "sk-2" and old.decrypt(both.encrypt("sk-2")) is None


def test_rotating_seals_anew_what_the_newest_key_has_not_sealed() -> None:
    both, new = SecretBox("newest", ["older"]), SecretBox("newest")
    fresh = both.rotate(SecretBox("older").encrypt("sk-1"))
    assert fresh and new.decrypt(fresh) == "sk-1" and both.rotate(fresh) == fresh
    assert both.rotate(SecretBox("lost").encrypt("sk-1")) is None


def test_a_secret_keeps_its_time() -> None:
    written = MARK + _fernet("older").encrypt_at_time(b"sk-1", 1_000_000_000).decode()
    fresh = SecretBox("newest", ["older"]).rewrite(written)
    assert fresh and SecretBox("newest").read(fresh) == "sk-1"
    assert set_at(written) == set_at(fresh) == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert set_at("env:NAME") is None


def test_a_secret_is_written_down_sealed() -> None:
    both, new = SecretBox("newest", ["older"]), SecretBox("newest")
    written = SecretBox("older").write("Ключ-1")
    assert written.startswith("sealed:") and both.read(written) == "Ключ-1"
    fresh = both.rewrite(written)
    assert fresh and new.read(fresh) == "Ключ-1" and both.rewrite(fresh) == fresh
    for wrong in ("sk-1", "sealed:", "sealed:Ключ", written[:-4] + "AAA=", f" {written}"):
        assert both.read(wrong) is None and both.rewrite(wrong) is None


def test_the_settings_name_all_keys() -> None:
    assert open_secret_box(Settings(old_secret_keys=("older",))) is None
    seal = open_secret_box(Settings(secret_key="newest", old_secret_keys=("older",)))
    assert seal and seal.decrypt(SecretBox("older").encrypt("sk-1")) == "sk-1"
    assert SecretBox("newest").decrypt(seal.encrypt("sk-2")) == "sk-2"


def test_a_message_shows_neither_keys_nor_secrets() -> None:
    assert "newest" not in repr(SecretBox("newest", ["older"])) + repr(Settings(secret_key="newest"))


def test_a_seal_opens_in_its_place_alone() -> None:
    seal, here, there = SecretBox("newest", ["older"]), place_of("acme", "MODELS"), place_of("zeta", "MODELS")
    written = SecretBox("older").write("sk-1", here)
    assert seal.read(written, here) == "sk-1" and seal.read(written) is seal.read(written, there) is None
    assert seal.read(written.replace("sealed:2:", "sealed:"), here) is None
    assert place_of("a", "b-c") != place_of("a-b", "c")
    fresh = seal.rewrite(written, here)
    assert fresh and SecretBox("newest").read(fresh, here) == "sk-1" and seal.rewrite(fresh, here) == fresh
    assert seal.rewrite(written, there) is None and seal.rewrite(written) is None
    assert set_at(written) == set_at(fresh)


def test_a_seal_of_a_former_version_opens_and_is_bound_when_it_is_sealed_anew() -> None:
    seal, here = SecretBox("newest"), place_of("acme", "MODELS")
    former = MARK + _fernet("newest").encrypt_at_time(b"sk-1", 1_000_000_000).decode()
    assert seal.read(former, here) == "sk-1"
    bound = seal.rewrite(former, here)
    assert bound and seal.read(bound, here) == "sk-1" and seal.read(bound) is None
    assert set_at(bound) == set_at(former)
