"""What is found and masked in a text."""

import time

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.redaction.masking import mask, mask_json
from common.redaction.personal.innocent import innocent_spans, is_list

_TALK = st.text(
    st.sampled_from(
        '0123456789١３ -.,()+/@＠–—　:；，。、xaZéя中三八〇五点艾特собак at dot one five\n"{}\\u'
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("It is 555-123-4567.", "It is xxx-xxx-xxxx."),
        ("Call 555 1234 please", "Call xxx xxxx please"),
        ("(415) 555–2671 or +44 20 7946 0958", "(xxx) xxx–xxxx or +xx xx xxxx xxxx"),
        ("415.555.2671, ext. 12", "xxx.xxx.xxxx, ext. 12"),
        ("415, 555, 2671", "xxx, xxx, xxxx"),
        ("5 5 5, 1 2 3, 4 5 6 7", "x x x, x x x, x x x x"),
        ("five five five one two three oh", "xxxx xxxx xxxx xxx xxx xxxxx xx"),
        ("my card is 4111 1111 1111 1111 12/25", "my card is xxxx xxxx xxxx xxxx xx/xx"),
        ("4111-1111-1111-1111", "xxxx-xxxx-xxxx-xxxx"),
        ("4111,1111,1111,1111", "xxxx,xxxx,xxxx,xxxx"),
        ("4111111111111111", "xxxxxxxxxxxxxxxx"),
        ("+7 (916) 123-45-67", "+x (xxx) xxx-xx-xx"),
        ("звоните 8 916 123 45 67, спасибо", "звоните x xxx xxx xx xx, спасибо"),
        ("ноль один два три четыре пять шесть", "xxxx xxxx xxx xxx xxxxxx xxxx xxxxx"),
        ("我的电话是13800138000，谢谢", "我的电话是xxxxxxxxxxx，谢谢"),
        ("电话：０１０－６２７１９１８８。", "电话：xxx－xxxxxxxx。"),
        ("一三八零零一三八零零零", "xxxxxxxxxxx"),
        ("write to John.Doe+x@mail.example.com.", "write to xxxx.xxx+x@xxxx.xxxxxxx.xxx."),
        ("я ivan@почта.рф тут", "я xxxx@xxxxx.xx тут"),
        ("我的邮箱是zhang@163.com是的", "我的邮箱是xxxxx@xxx.xxx是的"),
        ("john @ gmail . com", "xxxx @ xxxxx . xxx"),
        ("it is john dot smith at gmail dot com", "it is xxxx xxx xxxxx xx xxxxx xxx xxx"),
        ("ivan собака mail точка ru", "xxxx xxxxxx xxxx xxxxx xx"),
        ("zhang艾特163点com", "xxxxxxxxxxxxxx"),
    ],
)
def test_numbers_and_addresses_are_masked_in_their_shape(said: str, kept: str) -> None:
    assert mask(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "We open at 9:30, 365 days.",
        "on 2024-01-02 10:30 and on 31.12.2024",
        "12/31/2024 is a Tuesday",
        "from 2019-2021, and 1893–1976",
        "in 1999, 2000, 2001",
        "$1,234,567.89 or 1 234 567 руб., 1500000元",
        "1234567.89",
        "it has 1,234,567 people",
        "meet me @ home, @bob",
        "one of the two, or three",
        "Open at 9.30 or at 10.15",
        "第一，二三个",
        "",
    ],
)
def test_what_is_nobodys_stays(said: str) -> None:
    assert mask(said) == said


def test_a_date_hides_no_number() -> None:
    assert mask("138-1985-2012") == "xxx-xxxx-xxxx"
    assert mask("4556-1985-2012-1234") == "xxxx-xxxx-xxxx-xxxx"
    assert mask("2024-01-02 555-1234") == "2024-01-02 xxx-xxxx"


def test_digits_may_be_masked_by_another() -> None:
    assert mask("call 555-1234 or a@b1.com", "0") == "call 000-0000 or x@x0.xxx"


def test_json_stays_json() -> None:
    said = '{"phone": 5551234567, "x": "+1 555 123 4567", "at": "\\u4f60\\u59371234567", "next": [1, 2]}'
    kept = mask_json(said)
    assert len(kept) == len(said)
    assert orjson.loads(kept) == {
        "phone": 1111111111,
        "x": "+x xxx xxx xxxx",
        "at": "\u4f60\u5937xxxxxxx",
        "next": [1, 2],
    }
    assert mask_json('next "55') == 'next "55' and mask_json("{5551234567") == "{xxxxxxxxxx"


@given(_TALK)
def test_a_mask_keeps_length_and_shape_and_changes_nothing_twice(said: str) -> None:
    for kept in (mask(said), mask(said, "0"), mask_json(said)):
        assert len(kept) == len(said)
        assert all(k == s or (k in "x01" and s.isalnum()) for k, s in zip(kept, said, strict=True))
    assert mask(mask(said)) == mask(said)
    assert mask(mask(said, "0"), "0") == mask(said, "0")
    assert mask_json(mask_json(said)) == mask_json(said)


_BETWEEN = [
    "",
    " ",
    "-",
    " - ",
    ") ",
    " (",
    "   ",
    "\n",
    "\r\n\r\n",
    "**",
    "\u200b",
    " | ",
    "/",
    " · ",
    "\u00ad",
    "…",
]


@given(st.lists(st.integers(0, 9), min_size=7, max_size=19), st.sampled_from(_BETWEEN), st.data())
def test_any_long_number_is_masked_however_it_is_grouped(
    digits: list[int], between: str, data: st.DataObject
) -> None:
    groups, rest = list[str](), "".join(map(str, digits))
    while rest:
        width = data.draw(st.integers(1, 4))
        groups, rest = [*groups, rest[:width]], rest[width:]
    said = between.join(groups)
    assume(not innocent_spans(said) and not is_list(groups, [between] * (len(groups) - 1)))
    assert mask(said) == "".join("x" if c.isdigit() else c for c in said)


_HOSTILE = (
    'a|a@|@|a.|1|1 |1, |12-34 |a dot |a dot b at |中|一二|a@b.|one |"\\u4f60|+-(.|forty |\u200b|4111\u200b'
    "|cvv 123 |1.|code 1234 a |10:30 |$1,|de12 |iban de12 3456 |passport a|<b>|&#53;|*|`1|1万|. at .|::|1::"
    "|0:|double |12 and one |password 1|a-|é1|\\|1.1.1.1 |ab12|собака |二十 |ein und |million |cent |%40|um "
)


@pytest.mark.parametrize("piece", _HOSTILE.split("|"))
def test_a_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        begin = time.process_time()
        mask(piece * (length // len(piece)))
        return time.process_time() - begin

    small, large = 4_000, 32_000
    usual = max(min(seconds(small) for _ in range(3)), 0.002)
    assert any(seconds(large) < 40 * usual for _ in range(2)), "dozens of times, not eight"


@pytest.mark.parametrize("apart", [" x ", " + "])
def test_only_a_card_by_its_check_digit_is_put_together_over_letters_and_operators(apart: str) -> None:
    groups = ["4111", "1111", "1111", "1111"]
    assert "1" not in mask(apart.join(groups))
    other = apart.join([*groups[:3], "1112"])
    assert mask(other) == other
