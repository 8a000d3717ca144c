"""`fast-reply tenants` without a gateway, and processes that meet a wrong file."""

import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from common.security.secret_box import SecretBox, place_of
from common.settings import Settings
from common.tenants.api_keys import digest_of, id_of
from common.tenants.file import mistakes_in

OLD, NEW = SecretBox("older"), SecretBox("the newest key of the tests")
ENVIRON = {"FAST_REPLY_SECRET_KEY": "the newest key of the tests", "FAST_REPLY_OLD_SECRET_KEYS": '["older"]'}


def run(*arguments: str, said: str | None = None, **environ: str) -> tuple[int, str, str]:
    """The exit code, the standard output, and the standard error."""
    result = CliRunner(env={**ENVIRON, **environ}).invoke(app, arguments, input=said)
    return result.exit_code, result.stdout, result.stderr


def test_a_right_file_is_right_and_a_wrong_one_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text(f"[tenants.acme.secrets]\nMODELS = '{OLD.write('sk-1')}'\n")
    assert run("tenants", "check", str(file)) == (0, f"{file} is right\n", "")
    file.write_text("[tenants.acme]\nnmae = 1\nsecrets.S = 'sk-hidden'\n")
    code, out, err = run("tenants", "check", str(file))
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{file}: tenants.acme.secrets.S: a secret is sealed:…, as `fast-reply tenants seal` prints it, "
        "or env:NAME",
        f"{file}: tenants.acme.nmae: there is no such field",
    ]


@pytest.mark.parametrize("command", [("api",), ("worker", "full"), ("up",)], ids=lambda each: each[0])
def test_a_wrong_file_stops_a_process_before_it_starts(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text("[tenants.acme")
    code, out, err = run(*command, FAST_REPLY_TENANTS=str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"{file}: it is not TOML: ") and "line 1" in err


def test_the_first_tenant_and_its_key_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    code, out, err = run("tenants", "first", str(folder))
    assert (code, err) == (0, "")
    key, file = (folder / "key").read_text().strip(), folder / "tenants.toml"
    assert key not in out and str(folder / "key") in out
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    assert mistakes_in(Settings(tenants=str(file))) == []
    (written,) = tomllib.loads(file.read_text())["tenants"]["default"]["keys"]
    assert (written["id"], written["digest"]) == (id_of(key), digest_of(key))
    before = file.read_bytes()
    assert run("tenants", "first", str(folder))[0] == 0
    assert file.read_bytes() == before and (folder / "key").read_text().strip() == key


def test_a_secret_is_sealed_with_the_newest_key() -> None:
    code, out, _ = run("tenants", "seal", said="sk-1\n")
    assert code == 0 and NEW.read(out.strip()) == "sk-1"
    code, out, err = run("tenants", "seal", "acme", "MODELS", said="sk-1\n")
    assert (code, NEW.read(out.strip(), place_of("acme", "MODELS"))) == (0, "sk-1")
    assert NEW.read(out.strip()) is NEW.read(out.strip(), place_of("zeta", "MODELS")) is None
    assert run("tenants", "seal", "acme", said="sk-1\n")[0] == 1
    assert run("tenants", "seal", said="\n")[0] == 1
    code, out, err = run("tenants", "seal", said="sk-1\n", FAST_REPLY_SECRET_KEY="")
    assert (code, out) == (1, "") and "FAST_REPLY_SECRET_KEY is not set" in err


def test_a_new_keys_lines_are_right_and_do_not_hold_it(tmp_path: Path) -> None:
    scopes = ("--scope", "chat", "--scope", "read")
    code, out, _ = run(
        "tenants", "new-key", "--tenant", "acme", *scopes, "--name", 'line "é" 1', "--expires-in", "90d"
    )
    key, _, *lines = out.splitlines()
    (written,) = tomllib.loads("\n".join(lines))["tenants"]["acme"]["keys"]
    assert code == 0 and written["id"] == id_of(key) and written["digest"] == digest_of(key)
    assert written["scopes"] == ["chat", "read"] and written["name"] == 'line "é" 1'
    assert (written["expires_at"] - written["created_at"]).days == 90
    assert out.count(key) == 1
    (tmp_path / "tenants.toml").write_text("\n".join(lines), encoding="utf-8")
    assert mistakes_in(Settings(tenants=str(tmp_path / "tenants.toml"))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("--tenant", "Acme", "--scope", "chat"),
        ("--tenant", "acme", "--scope", "talk"),
        ("--tenant", "acme", "--scope", "chat", "--expires-in", "soon"),
    ],
    ids=["tenant", "scope", "time"],
)
def test_no_key_is_made_for_a_file_that_would_be_wrong(wrong: tuple[str, ...]) -> None:
    code, out, err = run("tenants", "new-key", *wrong)
    assert (code, out) == (1, "") and len(err.splitlines()) == 1


# Sealing anew.


def test_resealing_changes_the_secrets_alone(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    file, link = tmp_path / "mounted" / "tenants.toml", tmp_path / "tenants.toml"
    old, new = OLD.write("sk-1"), NEW.write("sk-2")
    text = f"# Café\r\n[tenants.acme.secrets] # two\r\n  A = '{old}' # was:{old}\r\nB   = \"{new}\"\r\n"
    file.write_bytes(text.encode())
    file.chmod(0o640)
    link.symlink_to(file)
    assert run("tenants", "reseal", str(link)) == (0, "3 secrets resealed\n", "")
    after = file.read_bytes().decode()
    secrets = tomllib.loads(after)["tenants"]["acme"]["secrets"]
    opened = [NEW.read(secrets[name], place_of("acme", name)) for name in ("A", "B")]
    assert opened == ["sk-1", "sk-2"] and old not in after
    assert NEW.read(secrets["A"], place_of("acme", "B")) is None
    layout = [
        after.replace(secrets["A"], "·").replace(secrets["B"], "·"),
        text.replace(old, "·").replace(new, "·"),
    ]
    assert layout[0].partition("was:")[0] == layout[1].partition("was:")[0]
    assert layout[0].rpartition("\r\nB")[2] == layout[1].rpartition("\r\nB")[2]
    assert link.is_symlink() and file.stat().st_mode & 0o777 == 0o640
    assert run("tenants", "reseal", str(link)) == (0, "0 secrets resealed\n", "")
    assert run("tenants", "check", str(link), FAST_REPLY_OLD_SECRET_KEYS="[]")[0] == 0
    assert os.listdir(file.parent) == ["tenants.toml"]  # noqa: PTH208


def test_a_secret_that_no_key_opens_is_named_and_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "tenants.toml"
    text = f"[tenants.acme.secrets]\nA = '{OLD.write('sk-1')}'\nB = '{SecretBox('lost').write('sk-2')}'\n"
    file.write_text(text)
    code, out, err = run("tenants", "reseal", str(file))
    assert (code, out) == (1, "") and "sealed in line 3; nothing was changed" in err
    assert file.read_text() == text
    assert run("tenants", "reseal", str(tmp_path / "none.toml"))[0] == 1
