"""What a caller may see: one tenant, and in it all programs or a few. Every query and every API key takes one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """``programs`` holds opaque public codes; None means every program of the tenant."""

    tenant: str
    programs: frozenset[str] | None = None

    def allows(self, program: str | None) -> bool:
        """Whether data of ``program`` (None: of no program) may be seen."""
        return self.programs is None or program is None or program in self.programs
