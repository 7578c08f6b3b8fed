"""What coordinators post of a trial. Pure; read strictly in ``posted.py``, made of a form in ``form.py``."""

from schemas.base import Contract
from schemas.criteria import Eligibility
from schemas.ids import ProgramCode
from schemas.text import Line
from schemas.trials import Approval, RecruitmentStatus


class DraftPosted(Contract):
    """What a coordinator makes of a trial. Programs and approvals that are left out stay as they are.

    ``title`` and ``status`` (else it is closed) are for a trial that no registry has; of others the registry's stand.
    """

    eligibility: Eligibility
    programs: tuple[ProgramCode, ...] | None = None
    approvals: tuple[Approval, ...] | None = None
    title: Line | None = None
    status: RecruitmentStatus | None = None


class CountPosted(Contract):
    """Criteria to be counted; without any it is the draft that counts."""

    eligibility: Eligibility | None = None
    programs: tuple[ProgramCode, ...] | None = None
