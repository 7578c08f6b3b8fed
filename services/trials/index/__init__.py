"""Who matches which trial, found both ways far below asking every pair, and exactly. Pure.

``TrialIndex`` answers for one patient with the trials, ``PatientIndex`` for one trial with the patients; both are
changed trial by trial and patient by patient. ``cuts`` says with which numbers and spans criteria compare times.
"""

from services.trials.index.cuts import cut_points, windows
from services.trials.index.patients import PatientIndex
from services.trials.index.trials import TrialIndex

__all__ = ["PatientIndex", "TrialIndex", "cut_points", "windows"]
