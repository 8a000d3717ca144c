"""What of the full's opening is left out: by its sentences, and whatever the pieces it came in."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.text.repeats import RepeatFilter
from common.text.sentences import Sentences


def listen(
    draft: str,
    pieces: list[str],
    *,
    flows: bool = True,
    over: bool = True,
    opening: RepeatFilter | None = None,
) -> RepeatFilter:
    """The opening of a full that came in these pieces after the draft had spoken."""
    opening = opening or RepeatFilter()
    spoken, full = Sentences(), Sentences()
    spoken.feed(draft)
    spoken.close()
    for piece in pieces:
        full.feed(piece)
        opening.set_spoken(draft, spoken.ends, len(draft))
        opening.scan(full.text, full.ends, over=False, flows=flows)
    if over:
        full.close()
        opening.scan(full.text, full.ends, over=True, flows=flows)
    return opening


def kept(draft: str, full: str, *, flows: bool = True) -> str:
    """What the full says after this draft."""
    return listen(draft, [full], flows=flows).said_between(full, 0, len(full)).strip()


LEFT_OUT = {
    "exact": (
        "Our shop opens early on weekdays. We also sell bread.",
        "Our shop opens early on weekdays. Parking is behind the house.",
        "Parking is behind the house.",
    ),
    "exact, Markdown and quotes differ": (
        "Here's what you'll need:\n\n- a bowl",
        "**Here’s what you'll need:**\n\nFind a whisk.",
        "Find a whisk.",
    ),
    "near": (
        "Every spring our old fern wants a bigger pot and fresh dark soil. Wear gloves.",
        "Every spring our lovely fern wants a bigger pot and fresh dark soil. Water it first.",
        "Water it first.",
    ),
    "lead": (
        "Here is a simple plan for a quiet garden party:",
        "Here is an easy plan for a quiet garden party:\nSend the cards early.",
        "Send the cards early.",
    ),
    "several": (
        "Ferns like shade. Ferns need moist soil. Never let them dry.",
        "Ferns like shade. Ferns need moist soil. Feed them monthly.",
        "Feed them monthly.",
    ),
    "after one that is said": (
        "I can help with that. Here are the steps to reset the router:",
        "Let us begin with the cables. Here are the steps to reset the router:\nPull the plug.",
        "Let us begin with the cables.\nPull the plug.",
    ),
    "heading": (
        "**Ingredients:**\n\nFlour and milk.",
        "### Ingredients\n\nButter and salt.",
        "Butter and salt.",
    ),
    "list item": ("1. **Clean water**\n2. Soap", "1. **Clean Water**\nBoil it first.", "Boil it first."),
    "greeting": ("Hello! How are you?", "Hello! Nice of you to call.", "Nice of you to call."),
    "Russian": (
        "Конечно! Наш магазин открывается рано утром. Хлеб свежий.",
        "Наш магазин открывается рано утром. Парковка за домом.",
        "Парковка за домом.",
    ),
    "Russian lead": (
        "Вот простой план тихого праздника в саду:",
        "Вот лёгкий план тихого праздника в саду:\nПозовите соседей.",
        "Позовите соседей.",
    ),
    "Russian greeting": ("Здравствуйте! Чем помочь?", "Здравствуйте! Заказ готов.", "Заказ готов."),
    "Chinese": (
        "我们的商店早上开门。面包很新鲜。",
        "我们的商店早上开门。停车场在楼后面。",
        "停车场在楼后面。",
    ),
    "Chinese near": (
        "作为客服助手，我可以帮您查询订单状态。",
        "作为智能客服助手，我可以帮您查询订单状态。请告诉我姓名。",
        "请告诉我姓名。",
    ),
    "whole answer": ("The gate closes at nine.", "The gate closes at nine.", ""),
}


@pytest.mark.parametrize(("draft", "full", "rest"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_a_sentence_that_says_again_is_left_out(draft: str, full: str, rest: str) -> None:
    assert kept(draft, full) == rest


SAID = {
    "number": ("The room costs 80 euros a night.", "The room costs 95 euros a night."),
    "number in words": (
        "The room has two large beds by the window.",
        "The room has three large beds by the window.",
    ),
    "number from elsewhere": (
        "The blue train leaves at 9. The red train leaves at 11.",
        "The blue train leaves at 11.",
    ),
    "negation": ("You can change the booking online.", "You cannot change the booking online."),
    "negation, short": ("The parcel is insured abroad.", "The parcel isn't insured abroad."),
    "negation gone": ("You can't return opened boxes.", "You can return opened boxes."),
    "fact": ("The museum is closed.", "The museum is closed, but its garden stays open until dusk."),
    "other answer": (
        "Your courier today is called Hillport.",
        "Your courier today is called Seaford.",
    ),
    "one word more": ("She writes poems and songs.", "She writes poems and songs, mostly satirical."),
    "yes": ("Let me look that up.", "Yes."),
    "opener that was not said": ("Ferns like shade.", "Certainly! Put it north."),
    "not closed": ('He said: "Come in. It is late."', '"Come in. Sit down."'),
    "table": ("| day | hour |", "| day | hour |\n| --- | --- |\n| Monday | nine |"),
    "picture": ("Ferns like shade.", "👍"),
    "Russian number": ("Номер стоит 80 евро за ночь.", "Номер стоит 95 евро за ночь."),
    "Russian negation": ("Вы можете вернуть открытую коробку.", "Вы не можете вернуть открытую коробку."),
    "Russian fact": ("Поезд до столицы отправляется утром.", "Поезд до столицы отправляется вечером."),
    "Chinese number": ("房间每晚八十欧元。", "房间每晚九十欧元。"),
    "Chinese negation": ("您可以退回打开的箱子。", "您不可以退回打开的箱子。"),
    "Chinese fact": ("这首诗的作者是张三。", "这首诗的作者是李四。"),
    "empty draft": ("", "Good morning. Your order is ready."),
}


@pytest.mark.parametrize(("draft", "full"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("flows", [True, False])
def test_a_sentence_that_adds_something_is_said(draft: str, full: str, flows: bool) -> None:
    assert kept(draft, full, flows=flows) == full


def test_a_long_repeat_is_said_where_leaving_it_out_opened_a_silence() -> None:
    draft = (
        "Our little shop in the old town opens early on weekdays and closes late on the first warm evenings."
    )
    assert kept(draft, draft + " Bread is sold out.") == "Bread is sold out."
    assert kept(draft, draft + " Bread is sold out.", flows=False) == draft + " Bread is sold out."


def test_in_silence_the_first_new_word_frees_the_sentence_from_its_start() -> None:
    opening = listen("The museum opens at nine.", ["The ", "harbour ", "is"], flows=False, over=False)
    assert opening.begin == 0
    assert opening.releasable("The harbour is") == len("The harbour is")


def test_while_the_draft_speaks_a_sentence_is_judged_when_it_is_whole() -> None:
    opening = listen("The museum opens at nine.", ["The harbour is old"], over=False)
    assert opening.begin is None


def test_an_opener_is_said_but_does_not_overtake() -> None:
    text = "Of course! The harbour is old. A"
    assert not listen("The museum is new.", [text[:12]], over=False).whole
    assert listen("The museum is new.", [text], over=False).whole


def test_a_held_sentence_goes_slowly_while_the_next_may_be_a_repeat() -> None:
    draft = "Here are the steps to reset the router:"
    first, second = "Let us begin with the loose cables.", " Here are the steps"
    opening = listen(draft, [first + " H"], over=False)
    opening.start_speaking(first + " H")
    assert 0 < opening.releasable(first + " H") < len(first)
    listen(draft, [first + second], over=False, opening=opening)
    due = opening.releasable(first + second)
    assert 0 < due <= len(first)
    whole = first + " Here are the steps to reset the router:\nPull the plug out of the wall and"
    listen(draft, [whole], over=False, opening=opening)
    assert (
        opening.said_between(whole, 0, opening.releasable(whole))
        == first + "\nPull the plug out of the wall and"
    )


def test_a_word_that_is_not_finished_covers_nothing() -> None:
    opening = RepeatFilter()
    opening.set_spoken("The old port", [], len("The old port"))
    full = "The old port."
    opening.scan(full, [len(full)], over=True, flows=True)
    assert opening.said_between(full, 0, len(full)) == full


SENTENCES = (
    "Sure!", "Hello there.", "Ferns like shade.", "Ferns do not like shade.", "The gate closes at 9.",
    "The gate closes at 10.", "Here is a short list:\n", "- Water\n", "1. Clean soil\n", "## Care\n",
    "Dr. Fern agrees.", "It costs $3.50, e.g. in town.", '"Come in," she said.', "**Bold words.**",
    "Папоротники любят тень.", "Папоротники не любят тень.", "Вот короткий список:\n", "Хорошо.",
    "蕨类植物喜欢阴凉。", "蕨类植物不喜欢阴凉。", "好的！",
)  # fmt: skip
texts = st.lists(st.sampled_from(SENTENCES), max_size=7).map(" ".join)


def cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[a:b] for a, b in pairwise(bounds) if a < b]


@given(texts, texts, st.lists(st.integers(0, 500), max_size=60), st.booleans())
@example("Ferns like shade.", "Ferns like shade. Dr. Fern agrees.", list(range(40)), True)
@example("Dr. Fern agrees.", "Dr. Fern agrees. Ferns like shade.", list(range(40)), False)
def test_the_pieces_change_nothing(draft: str, full: str, places: list[int], flows: bool) -> None:
    one = listen(draft, [full] if full else [], flows=flows)
    many = listen(draft, cut(full, places), flows=flows)
    assert many.left_out == one.left_out
    assert many.begin == one.begin


@given(texts, texts, st.lists(st.integers(0, 500), max_size=60), st.integers(0, 60))
def test_what_was_decided_stays(draft: str, full: str, places: list[int], takes_over: int) -> None:
    opening, spoken = RepeatFilter(), Sentences()
    spoken.feed(draft)
    sentences = Sentences()
    before: list[tuple[int, int]] = []
    out, said, taken = 0, "", False
    for number, piece in enumerate([*cut(full, places), ""]):
        sentences.feed(piece)
        text, over = sentences.text, piece == ""
        if over:
            sentences.close()
        opening.set_spoken(draft, spoken.ends, len(draft))
        opening.scan(text, sentences.ends, over=over, flows=number < takes_over)
        assert opening.left_out[: len(before)] == before
        assert all(begin >= out for begin, _ in opening.left_out[len(before) :])
        before = list(opening.left_out)
        if number >= takes_over or over:
            if not taken:
                opening.start_speaking(text)
                taken = True
            due = opening.releasable(text)
            assert due >= out
            said += opening.said_between(text, out, due)
            out = due
    assert said == opening.said_between(full, 0, len(full))
    assert out == len(full)
