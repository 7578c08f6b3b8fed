"""The notifier's settings, from the environment (``NOTIFIER_SMTP__HOST``)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import SettingsConfigDict

from chassis.sealing import KeyringSettings
from chassis.settings import ServiceSettings, Settings
from services.notifier.smtp import SmtpSettings

PublicUrl = Annotated[
    str,
    StringConstraints(pattern=r"^(https://[a-z0-9.-]+|http://127\.0\.0\.1)(:[0-9]{1,5})?(/[a-z0-9/-]*[a-z0-9])?$"),
]


class PagesSettings(Settings):
    """Pages behind the links in mails: where patients reach them, and the keys of the links.

    A key must stay in the ring for as long as mails with its links may be opened.
    """

    public_url: PublicUrl
    links: KeyringSettings


class NotifierSettings(ServiceSettings):
    """Two rings: ``master`` wraps each patient's own key at rest; ``contact`` opens contact and care blocks in events.

    ``address_key`` keys the hash by which addresses are compared; changing it forgets suppressions. ``host`` stands in
    ``ce_source``. Without ``pages`` no mail goes out that must carry a link; ``console_url`` is the coordinators' page,
    without which their digests have no link. ``programs`` is the folder of the programs' files; without it the shipped
    ones are used.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_")

    smtp: SmtpSettings
    master: KeyringSettings
    contact: KeyringSettings
    address_key: Annotated[SecretStr, Field(min_length=32)]
    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,100}$")] = "notifier.example.org"
    pages: PagesSettings | None = None
    console_url: PublicUrl | None = None
    programs: Path | None = None
