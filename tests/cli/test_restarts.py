import pytest

from cli.processes import RestartPolicy, Restarts, how_it_died


def delays(*deaths_s: float) -> list[float | None]:
    restarts = Restarts(RestartPolicy())
    return [restarts.delay_s(death_s) for death_s in deaths_s]


def test_each_death_doubles_the_wait_and_the_fifth_within_the_window_is_the_last() -> None:
    assert delays(0, 1, 2, 3, 4) == [0.2, 0.4, 0.8, 1.6, None]


def test_the_wait_has_a_limit() -> None:
    assert delays(*range(0, 80, 10))[-3:] == [5.0, 5.0, 5.0]


def test_who_lived_long_enough_begins_anew() -> None:
    assert delays(0, 1, 2, 3, 40, 41) == [0.2, 0.4, 0.8, 1.6, 0.2, 0.4]


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-9, "was killed by SIGKILL"), (-250, "was killed by signal 250")],
)
def test_a_death_is_told_in_words(code: int, words: str) -> None:
    assert how_it_died(code) == words
