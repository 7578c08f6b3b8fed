"""Trials' settings, from the environment (``TRIALS_STORE__URL``)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from chassis.sealing import KeyringSettings
from chassis.settings import ServiceSettings


class TrialsSettings(ServiceSettings):
    """Two rings: ``master`` wraps each patient's own key at rest; ``facts`` opens traits and facts in events.

    ``host`` stands in ``ce_source``. ``programs`` is the folder of the programs' files and vocabularies; without it the
    shipped ones are used. ``drain_per_second``: patients compared with a changed trial. ``webhooks_private``: webhooks
    may go to addresses of private networks; ``webhook_seconds``: how long one may take to answer.
    """

    model_config = SettingsConfigDict(env_prefix="TRIALS_")

    master: KeyringSettings
    facts: KeyringSettings
    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,100}$")] = "trials.example.org"
    programs: Path | None = None
    drain_per_second: Annotated[float, Field(gt=0)] = 500.0
    webhooks_private: bool = False
    webhook_seconds: Annotated[float, Field(gt=0, le=10)] = 10.0
