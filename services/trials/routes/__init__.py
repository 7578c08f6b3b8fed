"""HTTP in. ``coordinator`` is the role of who runs trials: it sees matches, never a patient's name or id."""

COORDINATOR = "coordinator"
