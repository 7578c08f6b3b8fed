"""What the notifier must know of a trial before it writes to anybody about it."""

from dataclasses import dataclass

from schemas.trials import Approval, RecruitmentStatus


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A trial of the catalogue. ``programs``: whose patients it is for; none means all that offer trials."""

    trial_id: str
    registry_id: str
    status: RecruitmentStatus
    programs: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()

    def approval(self, approval_id: str, text_version: str, language: str) -> Approval | None:
        """The one approval of exactly this text, whether it stands or not."""
        wanted = (approval_id, text_version, language)
        found = (a for a in self.approvals if (a.approval_id, a.text_version, a.language) == wanted)
        return next(found, None)
