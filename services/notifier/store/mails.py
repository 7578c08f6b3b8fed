"""Attempts: one row a mail, what the server said of it, and addresses that refused mail for good."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select, update
from sqlalchemy import insert as plain_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.store import insert
from services.notifier.context import Sending
from services.notifier.domain import SAFETY, Told
from services.notifier.smtp import Receipt
from services.notifier.store.patients import Locked
from services.notifier.tables import mails, suppressions

TELLS = TypeAdapter(tuple[Told, ...])


def first_attempt(
    patient: Locked, sending: Sending, content: bytes, template_version: str, looked_at: str
) -> dict[str, Any]:
    """The mail's row, before its first byte. A safety notice's bytes are kept, sealed, for its repeat."""
    kept = sending.bundle.kind in SAFETY
    return {
        "mail_id": sending.mail_id, "tenant": patient.tenant, "patient_id": patient.patient_id,
        "program": sending.program.public_code, "kind": sending.bundle.kind, "tier": sending.tier,
        "message_id": sending.message_id, "address_hash": patient.email_hash,
        "program_version": sending.program.version, "template_version": template_version, "looked_at": looked_at,
        "tells": TELLS.dump_json(sending.tells).decode(), "sending_at": sending.now,
        "content": patient.data_key.seal_bytes(content, sending.mail_id.encode()) if kept else None,
    }  # fmt: skip


async def add_mails(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert first attempts."""
    if rows:
        await connection.execute(plain_insert(mails), list(rows))


async def repeat_mail(connection: AsyncConnection, patient: Locked, mail_id: str) -> bytes:
    """Count the repeat; the very bytes of the first attempt."""
    mine = mails.c.mail_id == mail_id
    sealed = (await connection.execute(select(mails.c.content).where(mine))).scalar_one()
    await connection.execute(update(mails).where(mine).values(resends=mails.c.resends + 1, verdict=None, ended_at=None))
    return patient.data_key.open_bytes(sealed, mail_id.encode())


async def record_receipts(connection: AsyncConnection, receipts: Mapping[str, Receipt], now: datetime) -> None:
    """What the server said of each mail, at civil time ``now``."""
    said: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("verdict", "phase", "code", "enhanced")}
    rows = [{"of": of} | {f"new_{name}": getattr(each, name) for name in said} for of, each in receipts.items()]
    await connection.execute(update(mails).where(mails.c.mail_id == bindparam("of")).values(**said, ended_at=now), rows)


async def get_handed_over(
    connection: AsyncConnection, mail_ids: Iterable[str]
) -> dict[str, tuple[str, tuple[Told, ...]]]:
    """The keyed hash of the address each mail went to, and what it tells of visits."""
    query = select(mails.c.mail_id, mails.c.address_hash, mails.c.tells).where(mails.c.mail_id.in_(sorted(mail_ids)))
    rows = await connection.execute(query)
    return {row.mail_id: (row.address_hash, TELLS.validate_json(row.tells)) for row in rows}


async def suppress(
    connection: AsyncConnection, tenant: str, address_hash: str, receipt: Receipt, delivery_id: str, now: datetime
) -> None:
    """No more mail to this address: every guard looks here."""
    row = {
        "tenant": tenant, "address_hash": address_hash, "code": receipt.enhanced or str(receipt.code), "since": now,
        "delivery_id": delivery_id,
    }  # fmt: skip
    await connection.execute(insert(connection, suppressions).on_conflict_do_nothing(), row)
