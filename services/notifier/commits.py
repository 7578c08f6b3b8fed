"""The three commits of a mail: guarded, ``sending``, recorded. Mails that come to one at the same time share it.

So a wave of mails costs the statements of one. Whatever goes wrong with one mail costs the others nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chassis.store import Store
from chassis.together import Together
from services.notifier.checks import Checker, Ready
from services.notifier.making import Made
from services.notifier.recording import HandedOver, Recorder
from services.notifier.store.claims import Claim, LostClaimError, Start, begin_sending, still_ours
from services.notifier.store.mails import add_mails, first_attempt, repeat_mail

GUARD_SECONDS = 5.0
"""How old the guard's look may be when the mail enters ``sending``."""

GATHER_SECONDS = 0.005
"""Servers' answers come one by one: recorded together, their senders also claim, guard and enter together."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A mail that is to enter ``sending``."""

    claim: Claim
    ready: Ready
    made: Made

    @property
    def start(self) -> Start:
        mail = self.ready.sending
        ids = tuple(each.delivery_id for each in mail.bundle.deliveries)
        return Start(self.claim, ids, self.ready.revision, mail.mail_id, mail.tier)


class Commits:
    """``most`` mails share a commit at most; ``lease`` is for how many seconds a mail may be ``sending``."""

    def __init__(self, store: Store, checker: Checker, recorder: Recorder, *, most: int, lease: float) -> None:
        self._store, self._checker, self._recorder, self._lease = store, checker, recorder, lease
        self._guarding = Together[Claim, Ready | None](self._guard, lambda claim: claim.key, most)
        self._entering = Together[_Finished, bytes](self._enter, lambda mail: mail.claim.key, most)
        self._recording = Together[HandedOver, None](self._record, lambda mail: mail.claim.key, most, GATHER_SECONDS)

    async def guard(self, claim: Claim) -> Ready | None:
        """The claim's first mail that may go out now."""
        return await self._guarding.one(claim)

    async def enter_sending(self, claim: Claim, ready: Ready, made: Made) -> bytes:
        """The commit before the first byte: the bytes to hand over; ``LostClaimError`` when something has changed."""
        return await self._entering.one(_Finished(claim, ready, made))

    async def record(self, handed_over: HandedOver) -> None:
        """The commit after the server's answer."""
        await self._recording.one(handed_over)

    async def close(self) -> None:
        """Stop what is under way."""
        for each in (self._guarding, self._entering, self._recording):
            await each.close()

    async def _guard(self, claims: Sequence[Claim]) -> list[Ready | Exception | None]:
        async with self._store.write() as connection:
            ready = await self._checker.check(connection, claims)
        return [ready.get(each.key) for each in claims]

    async def _enter(self, mails: Sequence[_Finished]) -> list[bytes | Exception]:
        contents: dict[Claim, bytes] = {}
        async with self._store.write() as connection:
            ours = await still_ours(connection, [each.start for each in mails])
            # The age is asked for here, once nothing is left to wait for.
            going = [each for each in mails if each.claim in ours and each.ready.age <= GUARD_SECONDS]
            await begin_sending(connection, [each.start for each in going], self._lease)
            first = [each for each in going if not each.claim.again]
            await add_mails(connection, [_first_attempt(each.ready, each.made) for each in first])
            for each in going:
                contents[each.claim] = each.made.content
                if each.claim.again:
                    mail_id = each.ready.sending.mail_id
                    contents[each.claim] = await repeat_mail(connection, each.ready.patient, mail_id)
        return [contents[each.claim] if each.claim in contents else LostClaimError() for each in mails]

    async def _record(self, handed_over: Sequence[HandedOver]) -> list[Exception | None]:
        async with self._store.write() as connection:
            await self._recorder.record(connection, handed_over)
        return [None] * len(handed_over)


def _first_attempt(ready: Ready, made: Made) -> dict[str, Any]:
    return first_attempt(ready.patient, ready.sending, made.content, made.template_version, ready.looked_at)
