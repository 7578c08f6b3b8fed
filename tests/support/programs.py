"""Both programs as shipped, with the demo's values: complete enough to send."""

from schemas.program_checks import sound_programs
from schemas.programs import Program

PROGRAMS: dict[str, Program] = sound_programs(demo=True)
CEDARS = next(each for each in PROGRAMS.values() if each.tenant == "cedars")
KAISER = next(each for each in PROGRAMS.values() if each.tenant == "kaiser")
