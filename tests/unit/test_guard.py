"""The guard: nothing that commits is spoken, and little else is held."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.commitments import MAX_SENTENCE, commits
from tests.support.guard_sentences import DEV, HELD_OUT

ALL = [(kind, sentence) for half in (DEV, HELD_OUT) for rows in half.values() for kind, sentence in rows]
COMMITTING = [sentence for kind, sentence in ALL if kind != "-"]
HARMLESS = [sentence for kind, sentence in ALL if kind == "-"]

# Wordings that got past earlier rules.
SLIPPERY = """
amount: You'd save roughly a third. ¦ It's buy one, get one free. ¦ You pay nothing for the first delivery.
amount: 您这个月超了三个G。 ¦ 学生票打对折。 ¦ Тут пополам. ¦ Пара сотен максимум.
amount: У вас осталось три попытки.
date: You can pick it up from noon onwards. ¦ Let me see, it's scheduled for the twelfth. ¦ It ends in May.
date: 半小时左右。 ¦ 最快今晚。 ¦ 过几天就有了。 ¦ Сегодня-завтра привезём. ¦ До пятнадцатого числа. ¦ В мае.
done: Your apartment viewing has been successfuly scheduled. ¦ Payment received. ¦ The refund went out.
done: The parcel was handed over to the neighbour. ¦ I have the refund approved. ¦ Cancelled. ¦ 钱退回去了。
done: 地址改过来了。 ¦ 密码改了。 ¦ Всё, записал. ¦ Справка выслана. ¦ Письмо ушло. ¦ Отменила.
promise: I'll look into it and get it fixed. ¦ I'll check and then I'll call you back.
promise: I want to offer you a credit. ¦ We can have someone come out to you.
promise: I'd be glad to send you a voucher. ¦ We're going to sort this out. ¦ 我查一下，然后给您退款。
promise: 交给我吧。 ¦ 我把您的意见反馈上去。 ¦ 送您一张优惠券。 ¦ 我們會退款給您。
promise: Я посмотрю и отменю заказ. ¦ Я лично прослежу за этим. ¦ Наш сотрудник выедет к вам.
promise: Дам вам скидку.
answer: That's against our policy. ¦ We do, actually. ¦ Not on that plan. ¦ Sure, go ahead and bring it in.
answer: Sure thing. ¦ You can return it, anything else? ¦ Good question, and yes, it's included.
answer: We have that in stock. ¦ Negative. ¦ 那当然。 ¦ 对对对。 ¦ 恐怕不行。 ¦ 现在办不了。
answer: 沒問題，可以退。 ¦ Так можно. ¦ Есть такая возможность. ¦ Без проблем, приходите. ¦ Парковка есть.
answer: У вас есть такое право. ¦ Абсолютно верно. ¦ Паспорт обязателен.
-: Let me check when your order will arrive. ¦ Let me see if that has been processed already.
-: Sure! Let me check. ¦ It'll just take a moment. ¦ Let me look at how the fees are calculated.
-: You said the screen flickers, correct? ¦ 我看一下您的订单什么时候到。 ¦ 让我看看费用是怎么计算的。
-: 让我对比一下这两个套餐。 ¦ 我幫您查一下。 ¦ Сейчас проверю, обработана ли заявка.
-: Правильно ли я вас понимаю? ¦ Минуту, проверяю наличие. ¦ Ага, сейчас посмотрю.
"""


def slippery() -> list[tuple[str, str]]:
    lines = (line.partition(": ") for line in SLIPPERY.strip().splitlines())
    return [(kind, sentence.strip()) for kind, _, rest in lines for sentence in rest.split("¦")]


def test_the_list_is_large_enough_to_mean_something() -> None:
    for language in ("en", "zh", "ru"):
        rows = DEV[language] + HELD_OUT[language]
        assert len(rows) >= 80
        assert 0.4 < sum(kind != "-" for kind, _ in rows) / len(rows) < 0.6


def test_no_sentence_that_commits_passes() -> None:
    assert [sentence for sentence in COMMITTING if commits(sentence) is None] == []


def test_at_most_one_harmless_sentence_in_twenty_is_held() -> None:
    held = [sentence for sentence in HARMLESS if commits(sentence)]
    assert len(held) <= 0.05 * len(HARMLESS), held


def test_the_kind_is_named() -> None:
    """Where a sentence commits to two things, either may be named."""
    other = [sentence for kind, sentence in ALL if kind != "-" and commits(sentence) != kind]
    assert len(other) <= 0.05 * len(COMMITTING), other


@pytest.mark.parametrize(("kind", "sentence"), slippery())
def test_wordings_that_once_slipped_through(kind: str, sentence: str) -> None:
    assert (commits(sentence) is None) == (kind == "-")


@pytest.mark.parametrize("sentence", ["Yes, that works.", "对，是这样的。", "Да, это входит в тариф."])
@pytest.mark.parametrize("form", ["{}", "  {} \n", "**{}**", "“{}”", "- {}", "> _{}_", "{}\u200b", "({})"])
def test_marks_around_a_sentence_change_nothing(sentence: str, form: str) -> None:
    assert commits(form.format(sentence)) == "answer"


def test_capitals_and_typographic_signs_change_nothing() -> None:
    assert commits("YES, THAT WORKS.") == commits("yes, that works.") == "answer"
    assert commits("I’ll send it.") == commits("I'll send it.") == "promise"
    assert commits("价格是２０元。") == commits("价格是20元。") == "amount"
    assert commits("Мы вернём деньги.") == commits("Мы вернем деньги.")


def test_a_month_that_is_a_word_too() -> None:
    assert commits("It ends in May.") == commits("Delivery is expected in early March.") == "date"
    assert commits("May I have your name?") is None


@given(st.text() | st.text(alphabet="Yes, I'll no. 是的我会 да нет §¦?!5%\n*_-'’"))
def test_any_text_is_judged_and_always_the_same(text: str) -> None:
    assert commits(text) == commits(text)


def test_a_profiles_own_rules_hold_more() -> None:
    assert commits("Let me ask Bob.") is None
    assert commits("Let me ask Bob.", [r"\bBob\b"]) == "custom"
    assert commits("Let me ask bob.", ["nobody", r"\bBob\b"]) == "custom"
    assert commits("Yes.", [r"\bBob\b"]) == "answer"


def test_a_rule_that_is_none_holds_every_sentence() -> None:
    for rule in ("(unclosed", r"(?<!a)b", r"(a)\1"):  # as a former version may have kept it
        assert commits("Let me see.", [rule]) == "custom"


def test_a_sentence_that_is_too_long_to_be_looked_at_commits() -> None:
    sentence = ("let me see " * MAX_SENTENCE)[:MAX_SENTENCE]
    assert commits(sentence) is None
    assert commits(sentence + "x") == "long"


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "1", "A", "a ", "1 ", "'", "*", "-", ".", "\u200b", "§", "? ", "a-"),
        *(
            "not ",
            "i ",
            "to ",
            "let me ",
            "i am ",
            "check a ",
            "two ",
            "if ",
            "is ",
            "is now ",
            "when ",
            "so, ",
        ),
        *("是", "一", "我", "我帮您", "看什", "半", "嗯,", "如果"),
        *("а", "да ", "и ", "в ", "я ", "мы вам ", "вы а ", "ну, ", "проверю а ", "уточню, а ", "если а "),
    ],
)
def test_hostile_text_costs_time_in_proportion_to_its_length(piece: str) -> None:
    """What is longer is not looked at: this is the longest that any text can keep the guard."""
    once, twice = ((piece * MAX_SENTENCE)[:size] for size in (MAX_SENTENCE // 2, MAX_SENTENCE))
    took = min(_time(twice) / _time(once) for _ in range(5))
    assert took < 3.2  # by the square it would be 4


def _time(text: str) -> float:
    begin = time.thread_time()
    commits(text)
    return time.thread_time() - begin


@pytest.mark.parametrize("text", ["", " ", "?!", "…", "。", "🙂", "\n"])
def test_nothing_said_commits_to_nothing(text: str) -> None:
    assert commits(text) is None
