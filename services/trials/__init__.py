"""Trials owns the catalogue, what is known of patients for matching, who matches which trial, and who is told of it.

Events in: ``intake.events.v1`` (patients, enrolments, appointments, consents, facts), ``notifier.outcomes.v1``
(what became of an invitation), ``trials.matches.v1`` (its own, for subscriptions).
Events out: ``trials.catalog.v1`` (trials and their approvals), ``trials.matches.v1``, ``trials.subscription.<id>.v1``
(pseudonymous), ``trials.outcomes.v1`` (worklist), ``trials.digests.v1``, ``notifier.requests.v1``.
"""
