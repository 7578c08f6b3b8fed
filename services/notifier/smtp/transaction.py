"""One mail, one recipient, one SMTP transaction, and exactly one verdict for it.

The envelope goes out in one packet when the server offers PIPELINING (RFC 2920), else command by command. The final
dot is written only when the recipient was accepted, all but the last piece of the body has left, and the server is
silent: until then, whatever happens, the mail was certainly not sent.
"""

import asyncio

from chassis import faults

from .receipts import AUTHENTICATION_REQUIRED, CLOSING, Phase, Receipt, answered, lost
from .settings import SmtpSettings
from .transfer import Transfer
from .wire import LineLost, Wire

_GO_AHEAD = 354
_PIECE = 64 * 1024


async def transact(wire: Wire, mail: Transfer, settings: SmtpSettings) -> Receipt:
    """Send ``mail``. Afterwards the wire is either ready for the next one or closed."""
    if refusal := mail.impossible(wire.offers):
        return refusal
    receipt = await _envelope(wire, mail, settings.command_seconds)
    receipt = receipt or await _hand_over(wire, mail.body, settings.command_seconds)
    receipt = receipt or await _outcome(wire, Phase.DOT, settings.dot_seconds)
    if not (wire.ready and _keeps_line(receipt.code)):
        wire.abort()
    return receipt


async def _envelope(wire: Wire, mail: Transfer, seconds: float) -> Receipt | None:
    """MAIL, RCPT and DATA; None when the server now waits for the body, else the first thing that went wrong."""
    commands = mail.commands(wire.offers)
    pipelined = wire.offers.pipelining
    if pipelined:
        wire.write(b"".join(command for _, command in commands))
    failure: Receipt | None = None
    code: int | None = None
    for phase, command in commands:
        if not pipelined:
            wire.write(command)
        try:
            reply = await wire.reply(seconds)
        except LineLost:
            wire.abort()
            return failure or lost(phase)
        code = reply.code
        if failure is None and not _goes_on(phase, code):
            failure = answered(phase, code, reply.enhanced)
        if failure and not pipelined:
            break
    if failure and _keeps_line(failure.code):
        await _back_out(wire, failure, code, seconds)
    return failure


async def _back_out(wire: Wire, failure: Receipt, last_code: int | None, seconds: float) -> None:
    """Leave a failed envelope behind, so that the next mail can begin; close the line where that can't be done.

    A server may answer DATA with 354 although it refused the recipient (RFC 2920, 3.1): a lone dot ends that. Had it
    taken the recipient, the lone dot would send an empty mail.
    """
    try:
        if last_code == _GO_AHEAD and failure.phase is Phase.RCPT:
            wire.write(b".\r\n")
            await wire.reply(seconds)
        elif last_code == _GO_AHEAD:
            raise LineLost
        wire.write(b"RSET\r\n")
        if (await wire.reply(seconds)).code != 250:
            raise LineLost
    except LineLost:
        wire.abort()


async def _hand_over(wire: Wire, body: bytes, seconds: float) -> Receipt | None:
    """The body and the dot; None once the dot is written. ``seconds`` bounds all pieces together."""
    last = (len(body) - 1) // _PIECE * _PIECE
    try:
        async with asyncio.timeout(seconds):
            for start in range(0, last, _PIECE):
                await wire.push(body[start : start + _PIECE])
    except (LineLost, TimeoutError):
        return lost(Phase.DATA)
    if wire.spoken or not wire.open:  # an answer before the dot can only mean that the mail isn't wanted any more
        early = await _outcome(wire, Phase.DATA, seconds)
        wire.abort()
        return early
    faults.reach(faults.Step.INSIDE_DATA)
    wire.write(body[last:] + b".\r\n")
    faults.reach(faults.Step.AFTER_DOT)
    return None


async def _outcome(wire: Wire, phase: Phase, seconds: float) -> Receipt:
    try:
        reply = await wire.reply(seconds)
    except LineLost:
        return lost(phase)
    return answered(phase, reply.code, reply.enhanced)


def _goes_on(phase: Phase, code: int) -> bool:
    return code == _GO_AHEAD if phase is Phase.DATA else 200 <= code < 300


def _keeps_line(code: int | None) -> bool:
    """Whether the line is of use after such a reply (None: no usable reply came)."""
    return code not in (None, CLOSING, AUTHENTICATION_REQUIRED)
