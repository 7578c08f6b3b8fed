"""Group commit: what is asked for while a round is under way is done by the next round, all of it at once.

So a round costs its statements once, however many asked; whoever asks alone doesn't wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from chassis.store_outage import is_outage

A = TypeVar("A")
R = TypeVar("R")


class Together(Generic[A, R]):
    """``work`` gets what was asked for, ``most`` at a time and no two with the same ``key``, and answers in that order.

    An answer that is an exception is raised where it was asked for. When ``work`` itself raises, each is tried alone,
    so that one that can't be done costs the others nothing; unless the store is away: then all hear of it. A round
    waits ``gather_seconds`` for company.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]],
        key: Callable[[A], Hashable],
        most: int,
        gather_seconds: float = 0.0,
    ) -> None:
        self._work, self._key, self._most, self._gather_seconds = work, key, most, gather_seconds
        self._asked: list[tuple[A, asyncio.Future[R]]] = []
        self._rounds: asyncio.Task[None] | None = None

    async def one(self, asked: A) -> R:
        """Its answer, from one of the next rounds. A round that has begun goes on without a caller who is cancelled."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, answer))
        if self._rounds is None:  # in a context of its own: a round belongs to no one trace
            self._rounds = asyncio.create_task(self._go_round(), context=Context())
        return await answer

    async def close(self) -> None:
        """Stop what is under way; whoever still waits for an answer is cancelled."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait({self._rounds})

    async def _go_round(self) -> None:
        asked: Sequence[tuple[A, asyncio.Future[R]]] = ()
        try:
            while self._asked:
                await asyncio.sleep(self._gather_seconds)
                if asked := self._next():
                    await self._round(asked)
        finally:
            self._rounds = None
            for _, answer in (*asked, *self._asked):  # none is left but after a cancellation
                answer.cancel()
            self._asked = []

    def _next(self) -> list[tuple[A, asyncio.Future[R]]]:
        chosen: dict[Hashable, tuple[A, asyncio.Future[R]]] = {}
        left = []
        for each in self._asked:
            key = self._key(each[0])
            if each[1].done():  # cancelled before its round
                continue
            if len(chosen) < self._most and key not in chosen:
                chosen[key] = each
            else:
                left.append(each)
        self._asked = left
        return list(chosen.values())

    async def _round(self, asked: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
        try:
            answers: Sequence[R | Exception] = await self._work([each for each, _ in asked])
        except Exception as error:
            if len(asked) > 1 and not is_outage(error):
                for each in asked:
                    await self._round([each])
                return
            answers = [error] * len(asked)
        for (_, future), answer in zip(asked, answers, strict=True):
            if future.done():  # whoever asked was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
