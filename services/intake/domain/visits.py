"""What a program offers: visit types, the modalities of each, and sites."""

from collections.abc import Iterator

from schemas.appointment import AppointmentPosted
from schemas.programs import Program
from services.intake.domain.refusals import Problem


def offered(program: Program, posted: AppointmentPosted) -> Iterator[Problem]:
    """Each thing of the visit that the program doesn't offer."""
    care = posted.care
    visit_type = program.visit_types.get(care.visit_type)
    if visit_type is None:
        yield Problem("/data/care/visit_type", "is not a visit type of the program")
    elif posted.modality not in visit_type.steps:
        yield Problem("/data/modality", "is not offered for this visit type")
    if care.site is not None and care.site not in program.sites:
        yield Problem("/data/care/site", "is not a site of the program")
