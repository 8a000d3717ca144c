"""The whole gateway once, over TLS and as the smallest user: nothing is denied, no secret gets out."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.gateway_stack import Simulator, Stack
from tests.support.processes import ROOT, free_port
from tests.support.redis_replies import at_once, command
from tests.support.tls_front import tls_front
from tests.support.tour import SECRETS, SETTINGS, Tour, leaky_server

_USER, _PASSWORD = "fastreply", "password-of-the-stores-user"
_SLOW = "This is said so slowly that there is time. Much can be done, or hurt, until it is over."
_WITHOUT_AN_ARCHIVE = {"pexpireat"}  # the tour has one, and so logs that never expire
_DOCS = ROOT / "docs" / "deployment.md"


@dataclass
class Toured:
    """What is left to look at after the tour."""

    tour: Tour
    stack: Stack
    folder: Path
    rules: list[str]
    used: set[str]  # commands, `client|setinfo` too, that the store was sent by the gateway

    def everywhere(self) -> Iterator[tuple[str, bytes]]:
        """All that was written anywhere, by where: answers, logs, the store's content and files, archives."""
        yield "the store", self.stack.held().encode()
        for number, told in enumerate(self.tour.told):
            yield f"answer {number}", told
        for path in (path for path in self.folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            yield path.name, gzip.decompress(content) if path.suffix == ".gz" else content


def documented_rules() -> list[str]:
    """The rules of the store's user, as the documentation gives them."""
    found = re.search(r"```acl\n(.*?)```", _DOCS.read_text(), re.S)
    assert found, "docs/deployment.md has no rules of the store's user"
    words = found[1].replace("\\\n", " ").split()
    assert words[:3] == ["user", _USER, "on"]
    return [f">{_PASSWORD}" if word.startswith(">") else word for word in words[2:]]


@pytest.fixture(scope="module")
def toured(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toured]:
    folder, port, rules = tmp_path_factory.mktemp("toured"), free_port(), documented_rules()
    certificates = tmp_path_factory.mktemp("certificates")
    trusted = f"ssl_ca_certs={certificates / 'certificate.pem'}"
    settings = {
        **SETTINGS,
        "REDIS_URL": f"rediss://{_USER}:{_PASSWORD}@127.0.0.1:{port}/0?{trusted}",
        "FAST_REPLY_ARCHIVE_URL": str(folder / "archive"),
    }
    stack = Stack(simulator, folder, settings, speech_workers=1)
    store_port = int(stack.redis_url.rpartition(":")[2].partition("/")[0])
    simulator.change("tour-slow", tpot_ms=80, text=_SLOW)
    simulator.change("tour-endless", tpot_ms=80, text=_SLOW * 40)
    with leaky_server() as leaky, tls_front(certificates, port, store_port):
        try:
            stack.store.heal()
            stack.wait_for_store()
            command(stack.redis, "ACL", "SETUSER", _USER, *rules)
            stack.redis.config_resetstat()
            stack.heal()
            tour = Tour(stack, leaky)
            tour.take()
            used = {name.removeprefix("cmdstat_") for name in at_once(stack.redis.info("commandstats"))}
            yield Toured(tour, stack, folder, rules, used)
        finally:
            stack.stop()


def test_the_documented_user_may_do_all_that_is_needed(toured: Toured) -> None:
    assert command(toured.stack.redis, "ACL", "LOG") == []


def test_the_documented_user_may_do_nothing_else(toured: Toured) -> None:
    allowed = {rule[1:] for rule in toured.rules if rule.startswith("+")}
    assert not [rule for rule in allowed if rule.startswith("@")], "whole categories are never all needed"
    assert sorted(allowed - toured.used - _WITHOUT_AN_ARCHIVE) == []
    assert "nocommands" in toured.rules
    assert {rule for rule in toured.rules if rule.startswith(("~", "&", "%"))} == {"~fr:*", "~arq:*", "&fr:*"}


def test_no_secret_is_found_anywhere(toured: Toured) -> None:
    secrets = [secret.encode() for secret in (*SECRETS, _PASSWORD)]
    found = [(where, secret) for where, text in toured.everywhere() for secret in secrets if secret in text]
    assert found == []


def test_a_key_is_told_once_and_kept_nowhere(toured: Toured) -> None:
    assert toured.tour.keys
    for key in toured.tour.keys:
        found = [where for where, text in toured.everywhere() if key.encode() in text]
        assert len(found) == 1 and found[0].startswith("answer "), found


def test_the_search_would_find_them(toured: Toured) -> None:
    whole = b"".join(text for _, text in toured.everywhere())
    assert b"When do you open" in whole or b"And on Sundays?" in whole
    assert toured.tour.keys[0][4:16].encode() in whole, "a key's id may be seen"


def test_the_tour_met_no_bug(toured: Toured) -> None:
    # uvloop's word for a connection that was given up while it was made, and what the tour did on purpose.
    meant = ("SSL protocol", "a turn is parked")
    assert [line for line in toured.stack.bugs() if not any(words in line for words in meant)] == []
