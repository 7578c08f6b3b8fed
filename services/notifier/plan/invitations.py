"""Invitations to trials: what another service asks for, once in a patient's life for each trial.

The plan takes a request as it stands. Whether the words are approved now is for the guard: approvals end by themselves.
"""

from schemas.outcomes import Kind
from services.notifier.domain import Request, Wanted
from services.notifier.keys import trial_key
from services.notifier.plan.context import Context
from services.notifier.plan.standing import enrolled
from services.notifier.times import local_text, next_open

PRIORITY = 9
"""Behind all that is about a visit."""


def invitations(context: Context) -> list[Wanted]:
    """One for each trial that a request stands for; of several requests the one that lasts longest."""
    asked: dict[str, Request] = {}
    for request in sorted(context.truth.requests, key=lambda each: (each.expires_at, each.request_id)):
        if request.program in context.programs and enrolled(context.truth, request.program):
            asked[request.trial_id] = request
    return [_wanted(context, each) for each in asked.values()]


def _wanted(context: Context, request: Request) -> Wanted:
    """Due at once, in the hours for trials on the recipient's clock; useful for as long as the request stands."""
    program = context.programs[request.program]
    zone = context.zone(None, program)
    due = next_open(request.requested_at, program.policy.windows.trials, zone)
    return Wanted(
        dedup_key=trial_key(request.trial_id),
        kind=Kind.TRIAL_INVITATION,
        program=request.program,
        due_at=due,
        due_local=local_text(due, zone),
        zone=zone,
        useful_until=request.expires_at,
        priority=PRIORITY,
        rule="trial/invitation",
        request_id=request.request_id,
    )
