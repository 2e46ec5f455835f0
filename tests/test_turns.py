"""Whose turn it is in a worker."""

from lmviz.jobs.worker import Turns


def order(turns: Turns, count: int) -> str:
    return "".join(str(turns.next()) for _ in range(count))


def settled(**runs: str) -> Turns:
    """Turns of these owners' runs, after what is new had its first turn."""
    turns = Turns()
    for owner, letters in runs.items():
        for run_id in letters:
            turns.add(owner, run_id)
    order(turns, sum(map(len, runs.values())))
    return turns


def test_round_robin_goes_by_owner_first() -> None:
    assert order(settled(one="ab", other="c"), 8) == "acbcacbc"


def test_what_comes_new_has_its_first_turns_at_once_in_the_order_it_came() -> None:
    turns = settled(one="ab", other="c")
    for owner, run_id in (("third", "x"), ("one", "y")):
        turns.add(owner, run_id)
    assert order(turns, 2) == "xy"
    later = order(turns, 18)
    assert {run_id: later.count(run_id) for run_id in "cx"} == {"c": 6, "x": 6}
    assert {run_id: later.count(run_id) for run_id in "aby"} == {"a": 2, "b": 2, "y": 2}


def test_a_run_that_was_added_twice_has_one_place() -> None:
    turns = settled(one="a", other="b")
    turns.add("one", "a")
    assert order(turns, 4) == "abab"


def test_a_run_that_is_removed_has_no_turn_not_even_its_first() -> None:
    turns = settled(one="a")
    turns.add("other", "b")
    turns.remove("b")
    assert order(turns, 3) == "aaa"
    turns.remove("a")
    assert turns.next() is None
