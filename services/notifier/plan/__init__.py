"""The plan of one patient: what should go out, and when. A pure function of truth, programs, ledger and civil time."""

from collections.abc import Mapping
from datetime import datetime

from schemas.programs import Program
from services.notifier.domain import Ledger, Plan, Truth


def plan(truth: Truth, programs: Mapping[str, Program], ledger: Ledger, now: datetime) -> Plan:
    """The intents this patient's state calls for at civil time ``now`` (UTC), by ``public_code`` of each program.

    Consent, preferences, addresses and holds are the guard's business. What is finished in the ledger is not wanted
    again; what is wanted has ``useful_until`` ahead of ``now``.
    """
    raise NotImplementedError
