"""Trials owns the catalogue, what is known of patients for matching, who matches which trial, and who is told of it.

Events in: ``intake.events.v1`` (patients, enrolments, consents, facts), ``trials.catalog.v1`` (its own, read to the end
by every instance), ``notifier.outcomes.v1`` (what became of an invitation).
Events out: ``trials.catalog.v1`` (trials and their approvals), ``trials.matches.v1`` and ``trials.subscription.<id>.v1``
(matches, pseudonymous outside), ``trials.outcomes.v1`` (worklist), ``trials.digests.v1``, ``notifier.requests.v1``.
"""
