"""Intake: owns patients, enrolments, visits, paperwork, consents, preferences and facts, as staff and feeds give them.

Events in: CloudEvents over HTTP (``POST /v1/events``), ``notifier.outcomes.v1`` for the timeline, and with
``trials.outcomes.v1`` for the worklist.
Events out: ``intake.events.v1``, each with the full state of its subject and the version that intake alone allots.
"""
