"""The notifier plans, guards and sends every e-mail, and keeps the one honest ledger of what became of each.

Events in: ``intake.events.v1`` (the truth), ``notifier.requests.v1`` (messages other services ask for),
``trials.catalog.v1`` (what may still be said of a trial), ``trials.digests.v1`` (coordinators' digests).
Events out: ``notifier.outcomes.v1`` (plans, outcomes, worklist).
"""
