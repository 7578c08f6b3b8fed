"""What a coordinator's API key reaches: a trial is for some programs, or for all of its tenant that offer trials."""

from collections.abc import Iterable, Mapping

from chassis.scope import Scope
from schemas.vocabulary import Vocabulary
from services.trials.domain import Offer, Offers


def offering(offers: Offers, scope: Scope) -> dict[str, Offer]:
    """The programs in the scope that offer trials, by public code."""
    return {
        code: each
        for code, each in offers.items()
        if each.program.offers_trials and each.program.tenant == scope.tenant and scope.allows(code)
    }


def reached(offers: Offers, scope: Scope, programs: Iterable[str]) -> list[str]:
    """Of the programs a trial is for (none means all), those in which this caller may count and see anybody."""
    mine, wanted = offering(offers, scope), set(programs)
    return [code for code in mine if not wanted or code in wanted]


def may_read(scope: Scope, programs: Iterable[str]) -> bool:
    """Whether a trial for these programs concerns the caller at all."""
    wanted = set(programs)
    return scope.programs is None or not wanted or bool(wanted & scope.programs)


def may_change(scope: Scope, programs: Iterable[str]) -> bool:
    """Whether all that a trial is for lies in the scope: to change it changes it for everybody."""
    wanted = set(programs)
    return scope.programs is None or (bool(wanted) and wanted <= scope.programs)


def vocabularies(offers: Offers, tenant: str, programs: Iterable[str]) -> Mapping[str, Vocabulary]:
    """By program code, the vocabularies in which a trial's criteria must be understood.

    A program without one matches on age, sex and place alone, so it asks nothing of criteria unless all are so.
    """
    wanted = set(programs)
    found = {
        code: each.vocabulary
        for code, each in offers.items()
        if each.program.tenant == tenant and each.program.offers_trials and (not wanted or code in wanted)
    }
    spoken = {code: each for code, each in found.items() if each.facts}
    return spoken or found or {"": Vocabulary()}
