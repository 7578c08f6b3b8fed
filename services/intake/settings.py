"""Intake's settings, from the environment (``INTAKE_STORE__URL``)."""

from typing import Annotated

from pydantic import DirectoryPath, Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from chassis.sealing import KeyringSettings
from chassis.settings import ServiceSettings


class IntakeSettings(ServiceSettings):
    """Three rings: ``master`` wraps each patient's own key at rest; ``contact`` and ``facts`` seal blocks in events.

    ``host`` stands in ``ce_source``; ``max_batch`` events are taken in one request;
    ``programs`` is the folder of the care programs, the shipped ones by default.
    """

    model_config = SettingsConfigDict(env_prefix="INTAKE_")

    master: KeyringSettings
    contact: KeyringSettings
    facts: KeyringSettings
    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,100}$")] = "intake.example.org"
    programs: DirectoryPath | None = None
    max_batch: int = Field(1000, ge=1, le=5000)
