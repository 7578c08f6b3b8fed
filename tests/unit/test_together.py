"""Group commit: who asks during a round shares the next one, and nobody suffers from another's failure."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

from chassis.together import Together

BAD = "bad"
OF_A_TRACE: ContextVar[str] = ContextVar("of_a_trace", default="none")


class Work:
    """Answers in capitals; keeps the rounds; waits for ``gate`` in each."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.outage = False
        self.traces: set[str] = set()

    async def __call__(self, asked: Sequence[str]) -> list[str | Exception]:
        self.rounds.append(list(asked))
        self.traces.add(OF_A_TRACE.get())
        await self.gate.wait()
        if self.outage:
            raise ConnectionRefusedError
        if BAD in asked:
            raise ValueError(BAD)
        return [LookupError(each) if each.startswith("lost") else each.upper() for each in asked]


def together(work: Work, most: int = 16) -> Together[str, str]:
    return Together(work, lambda asked: asked[0], most)


async def asked(of: Together[str, str], *what: str) -> list[str | BaseException]:
    return await asyncio.gather(*(of.one(each) for each in what), return_exceptions=True)


async def test_who_asks_alone_is_served_alone_and_again_later() -> None:
    of = together(work := Work())
    assert [await of.one("a"), await of.one("b")] == ["A", "B"]
    assert work.rounds == [["a"], ["b"]]


async def test_what_is_asked_at_the_same_time_is_one_round_and_during_a_round_the_next() -> None:
    of = together(work := Work())
    work.gate.clear()
    first = asyncio.create_task(asked(of, "a", "b"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(asked(of, "c", "d", "e"))
    await asyncio.sleep(0.01)
    work.gate.set()
    assert await first == ["A", "B"]
    assert await second == ["C", "D", "E"]
    assert work.rounds == [["a", "b"], ["c", "d", "e"]]


async def test_a_round_has_no_two_of_one_key_and_not_more_than_asked_for() -> None:
    of = together(work := Work(), most=2)
    assert await asked(of, "a1", "a2", "b", "c", "d") == ["A1", "A2", "B", "C", "D"]
    assert work.rounds == [["a1", "b"], ["a2", "c"], ["d"]]


async def test_an_answer_that_is_an_error_is_its_askers_alone() -> None:
    of = together(work := Work())
    good, lost, other = await asked(of, "good", "lost", "other")
    assert (good, other) == ("GOOD", "OTHER")
    assert isinstance(lost, LookupError)
    assert len(work.rounds) == 1


async def test_what_cannot_be_done_is_tried_alone_and_costs_the_others_nothing() -> None:
    of = together(work := Work())
    a, bad, c = await asked(of, "a", BAD, "c")
    assert (a, c) == ("A", "C")
    assert isinstance(bad, ValueError)
    assert work.rounds == [["a", BAD, "c"], ["a"], [BAD], ["c"]]


async def test_while_the_store_is_away_nothing_is_tried_twice() -> None:
    of = together(work := Work())
    work.outage = True
    answers = await asked(of, "a", "b")
    assert all(isinstance(each, ConnectionRefusedError) for each in answers)
    assert work.rounds == [["a", "b"]]


async def test_who_no_longer_waits_stops_nobody_elses_round() -> None:
    of = together(work := Work())
    work.gate.clear()
    gone, stays = asyncio.create_task(of.one("gone")), asyncio.create_task(of.one("stays"))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.wait({gone})
    work.gate.set()
    assert await stays == "STAYS"


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    of = together(work := Work())
    work.gate.clear()
    first = asyncio.create_task(of.one("a"))
    await asyncio.sleep(0.01)
    gone = asyncio.create_task(of.one("gone"))
    await asyncio.sleep(0.01)
    gone.cancel()
    work.gate.set()
    assert await first == "A"
    assert await of.one("b") == "B"
    assert work.rounds == [["a"], ["b"]]


async def test_closing_stops_a_round_under_way_and_whoever_waits() -> None:
    of = together(work := Work())
    work.gate.clear()
    first = asyncio.create_task(of.one("a"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(of.one("b"))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(of.close(), 1)
    await asyncio.wait({first, second}, timeout=1)
    assert first.cancelled()
    assert second.cancelled()


async def test_a_round_belongs_to_no_ones_trace() -> None:
    OF_A_TRACE.set("mine")
    of = together(work := Work())
    await of.one("a")
    assert work.traces == {"none"}
