"""Fills a notifier's ledger, in PostgreSQL, with patients and deliveries that wait. Nobody can plan or open them."""

from datetime import datetime

from sqlalchemy import text

from chassis.store import Store

_PEOPLE = """
INSERT INTO patients (tenant, patient_id, data_key)
SELECT 'cedars', 'p' || n, '\\x00' FROM generate_series(CAST(:begin AS int), :end) n"""
_WAITING = """
INSERT INTO deliveries (delivery_id, tenant, patient_id, dedup_key, kind, program, rule, priority, state, due_at,
    due_local, zone, useful_until, created_at)
SELECT 'd' || each || '-' || n, 'cedars', 'p' || n, 'k' || each || '-' || n, 'appointment-reminder', 'k7q2m9', 'bench',
    50, 'planned', CAST(:now AS timestamptz)
        + CASE WHEN n <= :due THEN interval '-1 hour' ELSE interval '1 day' + n * interval '1 second' END,
    '', 'America/Los_Angeles', CAST(:now AS timestamptz) + interval '30 years', CAST(:now AS timestamptz)
FROM generate_series(CAST(:begin AS int), :end) n, generate_series(1, CAST(:each AS int)) each"""


async def fill(store: Store, begin: int, end: int, now: datetime, *, due: int = 0, each: int = 1) -> None:
    """Patients ``begin + 1`` to ``end`` with ``each`` deliveries; those of the first ``due`` patients since an hour."""
    span = {"begin": begin + 1, "end": end}
    async with store.write() as connection:
        await connection.execute(text(_PEOPLE), span)
        await connection.execute(text(_WAITING), {**span, "now": now, "due": due, "each": each})
        await connection.execute(text("ANALYZE patients"))
        await connection.execute(text("ANALYZE deliveries"))
