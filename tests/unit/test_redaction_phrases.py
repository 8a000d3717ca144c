"""Personal data as people write and say it, in six languages, and what is nobody's."""

import pytest

from bench.privacy import LANGUAGES, Phrase, masked_places, phrases
from common.redaction.masking import mask

OVERDONE = {"Windows 95, 98, 2000"}  # three numbers, read one after the other


def _all(*, personal: bool) -> list[Phrase]:
    found = [phrase for name in LANGUAGES for phrase in phrases(name) if bool(phrase.personal) == personal]
    assert len(found) > 150
    return found


@pytest.mark.parametrize("phrase", _all(personal=True), ids=lambda phrase: phrase.text)
def test_what_is_personal_is_masked_and_nothing_beside_it(phrase: Phrase) -> None:
    masked = masked_places(phrase.text, mask(phrase.text))
    assert phrase.is_found(masked) and not phrase.is_overdone(masked), mask(phrase.text)


@pytest.mark.parametrize("phrase", _all(personal=False), ids=lambda phrase: phrase.text)
def test_what_is_innocent_stays(phrase: Phrase) -> None:
    assert (mask(phrase.text) != phrase.text) == (phrase.text in OVERDONE)


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_number_is_found_between_innocent_phrases(name: str) -> None:
    """All of a language as one text: nothing of one phrase hides what is in another."""
    said = phrases(name)
    whole = "\n\nSo. ".join(phrase.text for phrase in said)
    kept, at = mask(whole), 0
    for phrase in said:
        masked = masked_places(phrase.text, kept[at : at + len(phrase.text)])
        assert phrase.is_found(masked), phrase.text
        at += len(phrase.text) + len("\n\nSo. ")
