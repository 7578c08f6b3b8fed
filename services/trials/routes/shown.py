"""What each of the coordinators' pages shows. A refusal is shown on the page that asked."""

from typing import Any

from fastapi.responses import HTMLResponse, RedirectResponse, Response

from chassis.api_keys import Caller
from chassis.pages import page
from chassis.problems import Problem
from schemas.criteria import Criterion
from schemas.trials import TrialState
from services.trials.acts import readable, save
from services.trials.checking import check
from services.trials.criteria.structured import structured
from services.trials.criteria.text import sentence
from services.trials.desk import unpublished
from services.trials.drafts import CountPosted
from services.trials.form import FormError, Posted, expression_text, read_form
from services.trials.masking import masked
from services.trials.resources import Resources
from services.trials.routes import feasibility, matches
from services.trials.routes.feasibility import with_posted
from services.trials.scoping import may_change, may_read, vocabularies
from services.trials.store.catalogue import StoredTrial
from services.trials.store.desk import Workflow, list_page
from services.trials.store.invitations import State as Invited
from services.trials.store.invitations import count_states
from services.trials.store.subscriptions import list_subscriptions
from services.trials.subscriptions.desk import SubscriptionDesk
from services.trials.views import draft_tag, trial, withdrawal

SHOWN = 100
"""Trials, or matches, on one page."""


class Pages:
    """The pages by name; ``who`` is signed in."""

    def __init__(self, resources: Resources, subscribed: SubscriptionDesk) -> None:
        self._resources, self._subscribed = resources, subscribed

    async def overview(self, who: Caller, after: str | None) -> HTMLResponse:
        tenant = who.scope.tenant
        async with self._resources.store.read() as connection:
            found, following = await list_page(connection, tenant, after, SHOWN)
            mine = await list_subscriptions(connection, tenant, who.key_id, self._resources.master)
        shown = [trial(each) for each in found if may_read(who.scope, each.draft.programs)]
        return _page("trials/list.html", who=who, trials=shown, following=following, subscriptions=mine)

    async def test(self, who: Caller, subscription_id: str) -> None:
        async with self._resources.store.read() as connection:
            mine = await list_subscriptions(connection, who.scope.tenant, who.key_id, self._resources.master)
        if subscription_id not in [each.subscription_id for each in mine]:
            raise Problem(404, "no_such_subscription", "You have no such subscription.")
        await self._subscribed.test(subscription_id)

    async def one(
        self, who: Caller, registry_id: str, status: int = 200, said: list[str] | None = None
    ) -> HTMLResponse:
        async with self._resources.store.read() as connection:
            stored, rows = await matches.listed(self._resources, connection, who, registry_id, SHOWN)
            _, gone = await matches.listed(self._resources, connection, who, registry_id, SHOWN, withdrawn=True)
            mine = may_change(who.scope, stored.draft.programs)
            states = await count_states(connection, stored.tenant, stored.trial_id) if mine else {}
        shown = self._draft(stored) | await self._counts(who, stored.tenant, stored.draft)
        losses = await feasibility.losses(self._resources, who, stored.draft)
        return _page(
            "trials/trial.html", status=status, who=who, said=said or [], stored=stored, rows=rows, gone=gone,
            waiting=masked(states.get(Invited.WAITING, 0)), losses=losses,
            withdrawal=withdrawal, tag=draft_tag(stored), changed=unpublished(stored), **shown,
        )  # fmt: skip

    def _draft(self, stored: StoredTrial) -> dict[str, Any]:
        """The draft's criteria as lines of the form, each with its number in the order of the trial."""
        eligibility = stored.draft.eligibility
        words = next(iter(vocabularies(self._resources.offers, stored.tenant, stored.draft.programs).values()))
        every: list[tuple[str | None, Criterion]] = [(None, each) for each in eligibility.criteria]
        every += [(cohort.name, each) for cohort in eligibility.cohorts for each in cohort.criteria]
        lines = [
            {"number": number, "cohort": cohort, "criterion": each, "sentence": sentence(each, words),
             "expression": expression_text(each)}
            for number, (cohort, each) in enumerate(every)
        ]  # fmt: skip
        offered = {
            code: each.program.public_name
            for code, each in self._resources.offers.items()
            if each.program.tenant == stored.tenant and each.program.offers_trials
        }
        return {
            "shown": trial(stored), "lines": lines, "offered": offered,
            "structured": [sentence(each, words) for each in structured(eligibility)],
        }  # fmt: skip

    async def _counts(self, who: Caller, tenant: str, draft: TrialState) -> dict[str, Any]:
        found = await feasibility.counted(self._resources, who, draft)
        told = {"eligible": found.eligible, "possible": found.possible, "ruled out": found.ruled_out}
        return {
            "counts": {name: masked(number) for name, number in told.items()},
            "problems": check(draft, tenant, self._resources.offers), "unread": (),
        }  # fmt: skip

    async def counts(self, who: Caller, registry_id: str, body: bytes) -> HTMLResponse:
        """The counts of the draft as it stands in the form now; nothing is kept."""
        stored = await self._stored(who, registry_id)
        try:
            posted = read_form(Posted.of(body), stored.draft)
        except FormError as error:
            return _page("trials/_counts.html", counts={}, problems=(), unread=error.said)
        draft = with_posted(stored.draft, CountPosted(eligibility=posted.eligibility, programs=posted.programs))
        return _page("trials/_counts.html", **await self._counts(who, stored.tenant, draft))

    async def save(self, who: Caller, registry_id: str, body: bytes) -> Response:
        stored = await self._stored(who, registry_id)
        try:
            form = Posted.of(body)
            posted = read_form(form, stored.draft)
            await save(self._resources, who, registry_id, posted, form.text("tag"))
        except FormError as error:
            return await self.one(who, registry_id, 422, ["Nothing was saved.", *error.said])
        except Problem as problem:
            return await self.one(who, registry_id, problem.status_code, _told(problem))
        return RedirectResponse(f"/trials/{registry_id}#draft", 303)

    async def act(self, who: Caller, registry_id: str, action: Any) -> Response:
        """Publish or release."""
        try:
            await action(self._resources, who, registry_id)
        except Problem as problem:
            if problem.status_code == 404:
                raise
            return await self.one(who, registry_id, problem.status_code, _told(problem))
        return RedirectResponse(f"/trials/{registry_id}", 303)

    async def deciding(self, who: Caller, registry_id: str, fragment: bool) -> HTMLResponse:
        stored = await self._stored(who, registry_id)
        facts = await feasibility.yields(self._resources, who, stored.draft)
        name = "trials/_deciding.html" if fragment else "trials/deciding.html"
        return _page(name, who=who, stored=stored, facts=facts, most=feasibility.MOST_ASKED)

    async def match(self, who: Caller, registry_id: str, match_id: str, fragment: bool) -> HTMLResponse:
        async with self._resources.store.read() as connection:
            why = await matches.explanation(self._resources, connection, who, registry_id, match_id)
        name = "trials/_match.html" if fragment else "trials/match.html"
        return _page(name, who=who, why=why, registry_id=registry_id, states=[each.value for each in Workflow])

    async def _stored(self, who: Caller, registry_id: str) -> StoredTrial:
        async with self._resources.store.read() as connection:
            return await readable(connection, who, registry_id)


def _page(template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    return page(template, scripts="'self'", status=status, **context)


def _told(problem: Problem) -> list[str]:
    return [str(problem.detail), *(each.detail for each in problem.errors)]
