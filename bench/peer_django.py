"""One Django package queues mails and sends them; prints the processor seconds of all its processes.

``python bench/peer_django.py post_office|mailer DATABASE-URL SCHEMA SMTP-PORT MAILS BYTES``, with the interpreter of an
environment that has the package; ``bench.peers`` makes it. Nothing of ours is imported.
"""

import os
import sys
from importlib import import_module  # none of these packages is in our environment, where types are checked
from urllib.parse import urlparse

BATCH = 1000


def main(peer: str, url: str, schema: str, port: str, mails: str, size: str) -> None:
    """Sets Django up, then measures queueing and sending."""
    where = urlparse(url)
    database = {
        "ENGINE": "django.db.backends.postgresql", "NAME": where.path[1:], "USER": where.username,
        "PASSWORD": where.password, "HOST": where.hostname, "PORT": where.port,
        "OPTIONS": {"options": f"-c search_path={schema}"},
    }  # fmt: skip
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    import_module("django.conf").settings.configure(
        DATABASES={"default": database}, INSTALLED_APPS=["django.contrib.contenttypes", peer], USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", EMAIL_HOST="127.0.0.1", EMAIL_PORT=int(port),
        EMAIL_BACKEND=smtp, MAILER_EMAIL_BACKEND=smtp, MAILER_EMAIL_MAX_BATCH=None, SECRET_KEY="none",  # noqa: S106 - signs nothing
        POST_OFFICE={"BACKENDS": {"default": smtp}, "BATCH_SIZE": BATCH, "LOG_LEVEL": 2},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )  # fmt: skip
    import_module("django").setup()
    _command("migrate", verbosity=0)
    recipients = [f"p{number}@example.org" for number in range(int(mails))]
    html = "<p>" + "An ordinary line of a mail.\n" * (int(size) // 28) + "</p>"
    before = _cpu()
    {"post_office": _post_office, "mailer": _mailer}[peer](recipients, html)
    sys.stdout.write(f"{_cpu() - before}\n")


def _post_office(recipients: list[str], html: str) -> None:
    mail = import_module("post_office.mail")
    for at in range(0, len(recipients), BATCH):
        mail.send_many([
            {"sender": "clinic@example.org", "recipients": [each], "subject": "Reminder", "message": "Hello",
             "html_message": html}
            for each in recipients[at : at + BATCH]
        ])  # fmt: skip
    _command("send_queued_mail", processes=2, log_level=2, verbosity=0)


def _mailer(recipients: list[str], html: str) -> None:
    mailer = import_module("mailer")
    for each in recipients:
        mailer.send_html_mail("Reminder", "Hello", html, "clinic@example.org", [each])
    import_module("mailer.engine").send_all()


def _command(name: str, **options: object) -> None:
    import_module("django.core.management").call_command(name, **options)


def _cpu() -> float:
    """Seconds of this process and of those it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    main(*sys.argv[1:])
