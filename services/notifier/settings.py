"""The notifier's settings, from the environment (``NOTIFIER_SMTP__HOST``)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints
from pydantic_settings import SettingsConfigDict

from chassis.sealing import KeyringSettings
from chassis.settings import ServiceSettings
from services.notifier.smtp import SmtpSettings


class NotifierSettings(ServiceSettings):
    """Two rings: ``master`` wraps each patient's own key at rest; ``contact`` opens contact and care blocks in events.

    ``address_key`` keys the hash by which addresses are compared; changing it forgets suppressions. ``host`` stands in
    ``ce_source``. ``programs`` is the folder of the programs' files; without it the shipped ones are used.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_")

    smtp: SmtpSettings
    master: KeyringSettings
    contact: KeyringSettings
    address_key: Annotated[SecretStr, Field(min_length=32)]
    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,100}$")] = "notifier.example.org"
    programs: Path | None = None
