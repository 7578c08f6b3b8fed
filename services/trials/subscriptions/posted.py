"""What a coordinator posts to subscribe, checked against what their key may see and where messages may go."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict, Field

from chassis.problems import FieldError, Problem
from chassis.scope import Scope
from schemas.ids import ProgramCode
from schemas.text import Line
from schemas.trials import MatchVerdict, RegistryId
from services.trials.domain import Offers
from services.trials.subscription import Channel, Filter
from services.trials.subscriptions.desk import Wanted
from services.trials.subscriptions.places import PlaceRefused, Places

LEAST = (MatchVerdict.POSSIBLE, MatchVerdict.ELIGIBLE)


class SubscriptionPosted(BaseModel):
    """None named means all: trials, programs of the key, places (cities or states). ``url``: of a webhook alone,
    ``to``: of a digest alone."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Line
    channel: Channel
    trials: Annotated[tuple[RegistryId, ...], Field(max_length=1000)] = ()
    programs: Annotated[tuple[ProgramCode, ...], Field(max_length=100)] = ()
    sites: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    least: MatchVerdict = MatchVerdict.POSSIBLE
    url: Annotated[str, Field(max_length=2000)] | None = None
    to: Annotated[str, Field(max_length=254)] | None = None


def read_posted(posted: SubscriptionPosted, scope: Scope, offers: Offers, places: Places) -> Wanted:
    """Raises a problem that names each field."""
    wrong = [*_wrong_programs(posted, scope, offers), *_wrong_channel(posted, places)]
    if posted.least not in LEAST:
        wrong.append(FieldError("#/least", "must be possible or eligible"))
    if wrong:
        raise Problem(422, "invalid", "The request has fields that are not valid.", errors=wrong)
    programs = posted.programs or (None if scope.programs is None else tuple(sorted(scope.programs)))
    wanted = Filter(registry_ids=posted.trials, programs=programs, sites=posted.sites, least=posted.least)
    return Wanted(posted.name, posted.channel, wanted, posted.url, posted.to)


def _wrong_programs(posted: SubscriptionPosted, scope: Scope, offers: Offers) -> list[FieldError]:
    mine = {code for code, each in offers.items() if each.program.tenant == scope.tenant and scope.allows(code)}
    if not mine:
        return [FieldError("#/programs", "there is no program this key may use")]
    wrong = [index for index, code in enumerate(posted.programs) if code not in mine]
    return [FieldError(f"#/programs/{index}", "is not a program you may use") for index in wrong]


def _wrong_channel(posted: SubscriptionPosted, places: Places) -> list[FieldError]:
    wrong = []
    for name, value, channel in (("url", posted.url, Channel.WEBHOOK), ("to", posted.to, Channel.DIGEST)):
        if (value is not None) != (posted.channel is channel):
            wrong.append(FieldError(f"#/{name}", f"goes with the channel {channel}, and only with it"))
    if wrong:
        return wrong
    try:
        if posted.url is not None:
            places.check(posted.url)
        if posted.to is not None:
            validate_email(posted.to, check_deliverability=False)
    except PlaceRefused as refused:
        return [FieldError("#/url", str(refused))]
    except EmailNotValidError:
        return [FieldError("#/to", "is no e-mail address")]
    return []


def within(wanted: Filter, scope: Scope) -> bool:
    """A key for all programs sees every subscription of its tenant; else each of its programs must be the key's."""
    if scope.programs is None:
        return True
    return wanted.programs is not None and all(scope.allows(each) for each in wanted.programs)
