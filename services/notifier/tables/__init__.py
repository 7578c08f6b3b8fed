"""The notifier's tables. Protected columns (``state``, ``content``) hold bytes sealed under the patient's own key.

Civil and database times never meet in one comparison: ``not_before`` and ``lease_until`` are the database's clock,
everything else is civil.
"""

from chassis.batch import consumer_tables
from chassis.leases import leases_table
from chassis.outbox import outbox_table
from services.notifier.tables.base import metadata
from services.notifier.tables.desk import ALL_KINDS, arming, pauses, stops, suppressions, worklist
from services.notifier.tables.digests import OPEN_DIGESTS, digests
from services.notifier.tables.ledger import HELD, IN_HAND, PLANNED, UNCERTAIN, UNSENT, deliveries, history, mails
from services.notifier.tables.truth import patients, programs, subjects, told

__all__ = [
    "ALL_KINDS", "HELD", "IN_HAND", "OPEN_DIGESTS", "PLANNED", "UNCERTAIN", "UNSENT", "arming", "consumer",
    "deliveries", "digests", "history", "leases", "mails", "metadata", "outbox", "patients", "pauses", "programs",
    "stops", "subjects", "suppressions", "told", "worklist",
]  # fmt: skip

outbox = outbox_table(metadata)
leases = leases_table(metadata)
consumer = consumer_tables(metadata)
