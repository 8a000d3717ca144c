"""Sessions' names that hold personal data, hidden behind a keyed hash."""

import pytest

from common.names import SessionRef, valid_session
from common.redaction.masking import mask
from common.security.hidden_names import HiddenNames, is_personal
from common.settings import Settings


def names(key: str = "seals", *old: str) -> HiddenNames:
    return HiddenNames(Settings(_env_file=None, secret_key=key, old_secret_keys=list(old)))


@pytest.mark.parametrize(
    "name",
    ["+79161234567", "jane@example.com", "call-15551234567", "call_15551234567", "tel:+1 (555) 123-45-67",
     "jane.doe@example.com-2024", "room/４１１１111111111111", "sip:bob@host.example", "pin 4829"],
)  # fmt: skip
def test_a_personal_name_is_hidden_and_nothing_of_it_shows(name: str) -> None:
    kept = names().hide(SessionRef("acme", name))
    assert kept.tenant == "acme" and kept.session.startswith("hidden-") and len(kept.session) == 39
    assert valid_session(kept.session) and mask(kept.session) == kept.session
    assert names().hide(kept) == kept, "a client may go on under the name that it was told"
    assert names().hide(SessionRef("acme", name)) == kept and names().known_as(SessionRef("acme", name)) == [
        kept
    ]


@pytest.mark.parametrize(
    "name",
    ["call 7", "support", "550e8400-e29b-41d4-a716-446655440000", "CA1234567890abcdef1234567890abcdef",
     "s" + "0f" * 10, "room-12", "2024-10-15"],
)  # fmt: skip
def test_a_name_that_tells_nothing_of_anybody_stays(name: str) -> None:
    session = SessionRef("acme", name)
    assert not is_personal(name) and names().hide(session) == session and names().known_as(session) == []


def test_a_hash_is_of_the_key_the_tenant_and_the_name() -> None:
    session = SessionRef("acme", "+79161234567")
    others = [SessionRef("other", "+79161234567"), SessionRef("acme", "+79161234568")]
    kept = {names().hide(each).session for each in (session, *others)}
    assert len(kept | {names("another").hide(session).session}) == 4


def test_what_an_old_key_hid_is_found() -> None:
    session = SessionRef("acme", "+79161234567")
    assert names("new", "seals").known_as(session)[1:] == [names().hide(session)]


def test_without_a_key_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    names("").hide(SessionRef("acme", "+79161234567"))
    (record,) = caplog.records
    assert "FAST_REPLY_SECRET_KEY" in record.message and "7916" not in record.message
