"""The file of tenants: every mistake is named with its place, and no message shows what it is about."""

import asyncio
import logging
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.security.secret_box import SecretBox
from common.security.url_guard import UrlGuard
from common.tenants.config import KeyConfig, TenantConfig
from common.tenants.file import TenantsFile, WrongFile
from common.tenants.texts import Texts

SEAL = SecretBox("newest", ["older"])
GUARD = UrlGuard(["127.0.0.1"])
DIGEST = "0123456789abcdef" * 4
GOOD = f"""
[tenants.acme]
name = "Acme"
default_profile = "support"
request_secrets = {{ CRM = ["crm.example"] }}

[tenants.acme.profiles.support]
full = {{ base_url = "https://models.example/v1", model = "big", secret = "MODELS" }}
draft = {{ base_url = "https://models.example/v1", model = "small", secret = "MODELS", temperature = 1 }}
record = "redacted"
policy.filler = {{ fillerPhrase = "One moment.", activationDelayMs = 1500 }}

[tenants.acme.limits]
live_turns = 20

[tenants.acme.secrets]
MODELS = "{SEAL.write("sk-1")}"
CRM = "env:ACME_CRM"

[[tenants.acme.keys]]
id = "AAAAAAAAAAAA"
digest = "{DIGEST}"
scopes = ["chat", "read"]
expires_at = 2030-01-01T00:00:00Z

[tenants.zeta]
"""
ENVIRON = {"ACME_CRM": "crm-1"}


def file_of(folder: Path, text: str, seal: SecretBox | None = SEAL) -> TenantsFile:
    path = folder / "tenants.toml"
    path.write_text(text, encoding="utf-8")
    return TenantsFile(path, seal, GUARD, ENVIRON)


def mistakes(folder: Path, text: str, seal: SecretBox | None = SEAL) -> list[str]:
    with pytest.raises(WrongFile) as wrong:
        file_of(folder, text, seal).read()
    return wrong.value.mistakes


def test_a_good_file_is_read(tmp_path: Path) -> None:
    file = file_of(tmp_path, GOOD)
    texts = file.read()
    acme = TenantConfig.model_validate_json(texts.tenants["acme"])
    assert list(texts.tenants) == ["acme", "zeta"] and texts.version
    assert acme.profiles["support"].policy.filler.phrases == {"*": ("One moment.",)}
    assert acme.limits.live_turns == 20 and acme.request_secrets == {"CRM": ("crm.example",)}
    assert [file.open_secret(written, "acme", name) for name, written in acme.secrets.items()] == [
        "sk-1",
        "crm-1",
    ]
    key = KeyConfig.model_validate_json(texts.keys["AAAAAAAAAAAA"])
    assert (key.tenant, key.scopes, key.digest) == ("acme", ("chat", "read"), DIGEST)
    assert key.expires_at and key.expires_at.year == 2030


def test_an_empty_file_sets_up_no_tenant(tmp_path: Path) -> None:
    texts = file_of(tmp_path, "").read()
    assert texts.version is not None and not texts.tenants


PROFILE = "tenants.acme.profiles.support"
WRONG = {
    "unknown table": ("[tenants.acme]", "[tenant.acme]\n[tenants.acme]", "tenant: there is no such field"),
    "unknown field": ('name = "Acme"', "nmae = 1", "tenants.acme.nmae: there is no such field"),
    "unknown part": ("record =", "recrod =", f"{PROFILE}.recrod: there is no such field"),
    "tenant's id": (
        "[tenants.zeta]",
        "[tenants.Zeta]",
        "tenants.Zeta: a tenant's id is 1 to 40 lower-case letters, digits and, not first, - and _",
    ),
    "no table": ("[tenants.zeta]", "[tenants]\nzeta = 3", "tenants.zeta: this is to be a table"),
    "text for number": (
        "live_turns = 20",
        'live_turns = "20"',
        "tenants.acme.limits.live_turns: Input should be a valid integer",
    ),
    "true for number": (
        "live_turns = 20",
        "live_turns = true",
        "tenants.acme.limits.live_turns: Input should be a valid integer",
    ),
    "below zero": (
        "live_turns = 20",
        "live_turns = -1",
        "tenants.acme.limits.live_turns: Input should be greater than or equal to 0",
    ),
    "too much": (
        "live_turns = 20",
        "live_turns = 10000000000000000000000",
        "tenants.acme.limits.live_turns: Input should be less than or equal to 1000000000000",
    ),
    "no model": (', model = "big"', "", f"{PROFILE}.full.model: Field required"),
    "choice": (
        '"redacted"',
        '"some"',
        f"{PROFILE}.record: Input should be 'full', 'redacted' or 'none'",
    ),
    "policy": (
        "policy.filler = {",
        "policy.filler = { maximum = 99,",
        f"{PROFILE}.policy.filler.maximum: Input should be less than or equal to 20",
    ),
    "policy's field": (
        "policy.filler = {",
        'policy.handoff = { whne = "length" }\npolicy.filler = {',
        f"{PROFILE}.policy.handoff.whne: there is no such field",
    ),
    "no secret": (
        'model = "big", secret = "MODELS"',
        'model = "big", secret = "sk-hidden"',
        f"{PROFILE}.full.secret: there is no secret of this name",
    ),
    "nobody's secret": (
        'CRM = ["crm.example"]',
        'ERP = ["erp.example"]',
        "tenants.acme.request_secrets.ERP: there is no secret of this name",
    ),
    "no profile": (
        'default_profile = "support"',
        'default_profile = "sales"',
        "tenants.acme.default_profile: there is no profile of this name",
    ),
    "clear secret": (
        'CRM = "env:ACME_CRM"',
        'CRM = "sk-hidden"',
        "tenants.acme.secrets.CRM: a secret is sealed:…, as `fast-reply tenants seal` prints it, or env:NAME",
    ),
    "unset variable": (
        "env:ACME_CRM",
        "env:ACME_ERP",
        "tenants.acme.secrets.CRM: this environment variable is not set",
    ),
    "other key": (
        "env:ACME_CRM",
        SecretBox("lost").write("sk-hidden"),
        "tenants.acme.secrets.CRM: none of the secret keys opens it for this tenant and name",
    ),
    "no URL": (
        'full = { base_url = "https://models.example/v1"',
        'full = { base_url = "models.example/v1"',
        f"{PROFILE}.full.base_url: a URL begins with http:// or https:// and a host",
    ),
    "URL with password": (
        'full = { base_url = "https://models',
        'full = { base_url = "https://me:sk-hidden@models',
        f"{PROFILE}.full.base_url: a URL must not hold a name or a password",
    ),
    "URL with query": (
        'full = { base_url = "https://models.example/v1',
        'full = { base_url = "https://models.example/v1?key=sk-hidden',
        f"{PROFILE}.full.base_url: has no query: a key is a secret",
    ),
    "key's id": (
        '"AAAAAAAAAAAA"',
        '"frk_AAAAAAAAAAAA_sk-hidden"',
        "tenants.acme.keys.0.id: String should match pattern '^[A-Za-z0-9]{12}$'",
    ),
    "key for digest": (
        f'"{DIGEST}"',
        '"frk_AAAAAAAAAAAA_sk-hidden"',
        "tenants.acme.keys.0.digest: String should match pattern '^[0-9a-f]{64}$'",
    ),
    "scope": (
        '["chat", "read"]',
        '["chat", "talk"]',
        "tenants.acme.keys.0.scopes.1: Input should be 'chat', 'read' or 'admin'",
    ),
    "local time": (
        "2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00",
        "tenants.acme.keys.0.expires_at: Input should have timezone info",
    ),
    "one key": (
        "[[tenants.acme.keys]]",
        "[tenants.acme.keys]",
        "tenants.acme.keys: this is to be a list, [[tenants.acme.keys]] for each key",
    ),
    "key twice": (
        "[tenants.zeta]",
        f'[[tenants.zeta.keys]]\nid = "AAAAAAAAAAAA"\ndigest = "{DIGEST}"\nscopes = ["chat"]',
        "tenants.zeta.keys.0.id: tenants.acme.keys.0 has this id",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_place_and_without_its_value(tmp_path: Path, case: str) -> None:
    good, bad, says = WRONG[case]
    assert good in GOOD
    assert mistakes(tmp_path, GOOD.replace(good, bad, 1)) == [says]
    assert "sk-" not in says


def test_where_a_url_may_not_lead_is_said_though_other_profiles_are_wrong(tmp_path: Path) -> None:
    private = GOOD.replace(
        'full = { base_url = "https://models.example', 'full = { base_url = "http://10.0.0.1'
    )
    says = f"{PROFILE}.full.base_url: the host's address is not a public one, nor in FAST_REPLY_ALLOWED_HOSTS"
    assert mistakes(tmp_path, private) == [says]
    wrong = f"{private}\n[tenants.zeta.profiles.sales]\n[tenants.acme.profiles.sales]\n"
    assert sorted(mistakes(tmp_path, wrong)) == [
        "tenants.acme.profiles.sales.full: Field required",
        says,
        "tenants.zeta.profiles.sales.full: Field required",
    ]
    file_of(tmp_path, GOOD.replace("https://models.example", "http://127.0.0.1:9000")).read()


def test_a_secret_needs_a_key_to_be_opened_with(tmp_path: Path) -> None:
    says = "tenants.acme.secrets.MODELS: there is no FAST_REPLY_SECRET_KEY to open it with"
    assert mistakes(tmp_path, GOOD, seal=None) == [says]


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    cases = ["unknown table", "no secret", "policy", "below zero", "other key", "scope", "key twice"]
    text = GOOD
    for good, bad, _ in map(WRONG.__getitem__, cases):
        text = text.replace(good, bad, 1)
    # A key with a mistake is none that another one could be the same as.
    assert sorted(mistakes(tmp_path, text)) == sorted(WRONG[case][2] for case in cases[:-1])


def test_a_mistake_in_the_form_is_named_with_its_line(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "[tenants.acme]\nname = Acme\n") == [
        "it is not TOML: Invalid value (at line 2, column 8)"
    ]
    (says,) = mistakes(tmp_path, "\n[tenants.acme")
    assert says.endswith(" (at line 2, the last)")
    (tmp_path / "tenants.toml").write_bytes(b"[tenants.acme]\n\nname = '\xff'\n")
    with pytest.raises(WrongFile, match=r"it is not UTF-8 \(at line 3\)"):
        TenantsFile(tmp_path / "tenants.toml", SEAL, GUARD).read()
    with pytest.raises(WrongFile, match="it can't be read: No such file or directory"):
        TenantsFile(tmp_path / "none.toml", SEAL, GUARD).read()
    assert mistakes(tmp_path, f"a = {'[' * 5_000}") == ["it is nested too deeply"]


def test_an_error_that_nobody_has_made_a_message_of_shows_no_value_either() -> None:
    with pytest.raises(ValidationError) as wrong:
        TenantConfig.model_validate({"limits": {"live_turns": "sk-hidden"}, "sk-name": {"prompt": "hush"}})
    assert "sk-hidden" not in str(wrong.value) and "hush" not in str(wrong.value)


# Changes.


def look(file: TenantsFile, seen: Texts | None) -> Texts | None:
    return asyncio.run(file.poll(seen))


def test_a_change_is_seen_and_the_same_is_not(tmp_path: Path) -> None:
    file = file_of(tmp_path, "[tenants.acme]")
    first = look(file, None)
    assert first and list(first.tenants) == ["acme"] and look(file, first) is first
    os.utime(tmp_path / "tenants.toml", ns=(1, 1))
    assert look(file, first) is first  # touched, not changed
    file_of(tmp_path, "[tenants.zeta]")
    second = look(file, first)
    assert second and list(second.tenants) == ["zeta"]


def test_a_file_that_is_replaced_in_one_step_is_seen_though_it_looks_as_old(tmp_path: Path) -> None:
    file = file_of(tmp_path, "[tenants.acme]")
    seen, path, fresh = look(file, None), tmp_path / "tenants.toml", tmp_path / "fresh.toml"
    fresh.write_text("[tenants.zeta]")
    stat = path.stat()
    os.utime(fresh, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fresh.replace(path)
    assert (texts := look(file, seen)) and list(texts.tenants) == ["zeta"]


def test_a_link_that_is_turned_over_is_seen(tmp_path: Path) -> None:
    """As Kubernetes replaces a mounted ConfigMap."""
    for name in ("acme", "zeta"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tenants.toml").write_text(f"[tenants.{name}]")
    (tmp_path / "..data").symlink_to("acme")
    (tmp_path / "tenants.toml").symlink_to("..data/tenants.toml")
    file = TenantsFile(tmp_path / "tenants.toml", SEAL, GUARD)
    seen = look(file, None)
    (tmp_path / "..data_tmp").symlink_to("zeta")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert (texts := look(file, seen)) and list(texts.tenants) == ["zeta"]


def test_a_wrong_change_is_logged_once_and_the_old_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = file_of(tmp_path, GOOD)
    seen = look(file, None)
    for text, times in (("tenants = 3", 1), ("tenants = 4", 2)):
        file_of(tmp_path, text)
        assert look(file, seen) is seen and look(file, seen) is seen
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == times and errors[-1].mistakes == ["tenants: this is to be a table"]  # type: ignore[attr-defined]
    (tmp_path / "tenants.toml").unlink()
    assert look(file, seen) is seen and look(file, seen) is seen
    assert caplog.records[-1].mistakes == ["it can't be read: No such file or directory"]  # type: ignore[attr-defined]
    assert len(caplog.records) == 3
    file_of(tmp_path, GOOD)
    assert look(file, seen) is seen  # as good as it was


def test_a_file_that_changes_while_it_is_read_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(tmp_path, "[tenants.acme]")
    read = TenantsFile.read

    def interrupted(self: TenantsFile) -> Texts:
        texts = read(self)
        file_of(tmp_path, "[tenants.acme]\n[tenants.zeta]")
        return texts

    with monkeypatch.context() as patch:
        patch.setattr(TenantsFile, "read", interrupted)
        assert look(file, None) is None
    assert (texts := look(file, None)) and list(texts.tenants) == ["acme", "zeta"]


def test_a_secret_is_none_of_the_deployments_own_variables(tmp_path: Path) -> None:
    path, environ = tmp_path / "tenants.toml", {"FAST_REPLY_OPERATOR_TOKEN": "operators", "LLM_API_KEY": "k"}
    for name in environ:
        path.write_text(f"[tenants.acme.secrets]\nS = 'env:{name}'\n")
        file = TenantsFile(path, None, UrlGuard(()), environ)
        with pytest.raises(WrongFile) as wrong:
            file.read()
        assert wrong.value.mistakes == [
            "tenants.acme.secrets.S: this environment variable is the deployment's own"
        ]
        assert file.open_secret(f"env:{name}", "acme", "S") is None
