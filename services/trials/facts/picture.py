"""A patient's picture: what is known on a day. What is missing, stale or in conflict is unknown."""

from services.trials.facts.values import NEVER, Happening, Known, Picture, RecordedFact, Traits, Unknown, Value

__all__ = ["NEVER", "Happening", "Known", "Picture", "RecordedFact", "Traits", "Unknown", "Value"]
