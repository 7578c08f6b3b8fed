"""From a request to finished bytes, or the reason why it must wait. Nothing is sent here."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.programs import Program
from schemas.trials import DigestRequest
from services.notifier.context import program_mail
from services.notifier.digest_mail import DIGEST, VARIABLES, DigestMail
from services.notifier.domain import Reason
from services.notifier.lint import lint
from services.notifier.making import BrokenMailError, Made
from services.notifier.mime import message
from services.notifier.programs import AppliedPrograms
from services.notifier.projection import hash_of
from services.notifier.render import Words, bodies, headers, words
from services.notifier.smtp.transfer import Transfer
from services.notifier.store.moments import suppressed
from services.notifier.store.pauses import get_paused
from services.notifier.template_set import DEFAULT_LOCALE, TemplateSet, template_set

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Maker:
    """``address_key`` keys the hash of addresses that refuse mail; ``console_url`` None: no link."""

    programs: AppliedPrograms
    address_key: bytes
    console_url: str | None
    simulated: bool = False

    async def look(self, connection: AsyncConnection, tenant: str, request: DigestRequest) -> Program | Reason:
        """The program whose mail it is, as applied now; or what is missing for it to go out."""
        program = (await self.programs.current(connection)).get(request.program)
        if program is None or program.tenant != tenant or program.missing or program.trials_sender is None:
            return Reason.PROGRAM_INCOMPLETE
        if (program.public_code, None) in await get_paused(connection, tenant):
            return Reason.PROGRAM_PAUSED
        return Reason.SUPPRESSED if await suppressed(connection, [(tenant, self.address_hash(request))]) else program

    def address_hash(self, request: DigestRequest) -> str:
        return hash_of(self.address_key, request.to)

    def make(self, request: DigestRequest, program: Program, now: datetime) -> tuple[DigestMail, Made]:
        """The mail at civil time ``now``; ``BrokenMailError`` with the reason."""
        try:
            mail = self._mail(request, program, now)
            templates = template_set(DIGEST, DEFAULT_LOCALE)
            content = written(mail, templates, say(mail, templates))
            Transfer(mail.return_path, mail.recipient, content)
        except Exception as error:
            log.error("render_error", error=type(error).__name__, kind=DIGEST)
            raise BrokenMailError(Reason.RENDER_ERROR) from None
        if hits := lint(content, 0, program.deny_list):
            log.critical("phi_lint", kind=DIGEST, places=sorted({f"{hit.place}:{hit.rule}" for hit in hits}))
            raise BrokenMailError(Reason.PHI_LINT)
        return mail, Made(mail.return_path, mail.recipient, content, templates.version)

    def _mail(self, request: DigestRequest, program: Program, now: datetime) -> DigestMail:
        """Its ``Message-ID`` is the digest's own: every attempt hands over the same mail."""
        return DigestMail(
            program=program_mail(program, trials=True),
            recipient=request.to.reveal(),
            return_path=f"bounces+{request.digest_id}@{program.mail_domain}",
            message_id=f"<{request.digest_id}@{program.mail_domain}>",
            date=now,
            lines=request.lines,
            console_url=self.console_url,
            simulated=self.simulated,
        )


def say(mail: DigestMail, templates: TemplateSet) -> Words:
    """The digest in words."""
    return words(templates, {name: value(mail) for name, value in VARIABLES.items()})


def written(mail: DigestMail, templates: TemplateSet, said: Words) -> bytes:
    """The digest's bytes."""
    return message(headers(mail, said.subject, templates), bodies(said), [], seed=mail.message_id)
