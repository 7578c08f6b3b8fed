"""Both programs as shipped, with the demo's values: complete enough to send."""

from schemas.program_files import load_programs
from schemas.programs import Program

PROGRAMS: dict[str, Program] = {code: each.program for code, each in load_programs(demo=True).items()}
CEDARS = next(each for each in PROGRAMS.values() if each.tenant == "cedars")
KAISER = next(each for each in PROGRAMS.values() if each.tenant == "kaiser")
