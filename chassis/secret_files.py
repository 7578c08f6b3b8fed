"""Settings that are secrets come as files: ``notifier_kafka__password`` is ``NOTIFIER_KAFKA__PASSWORD``.

They lie where container engines mount them, or in the folder that ``UPRIGHT_SECRETS`` names. The environment wins over
a file of the same name. A file that belongs to nobody's prefix is let be: others' secrets may lie beside ours.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
)

MOUNTED = "/run/secrets"


def secrets_folder() -> Path:
    """Where the files lie; it need not exist."""
    return Path(os.environ.get("UPRIGHT_SECRETS", MOUNTED))


def secret_names() -> Iterator[str]:
    """The names of the files there."""
    folder = secrets_folder()
    if folder.is_dir():
        yield from sorted(each.name for each in folder.iterdir() if each.is_file())


class SettingsWithSecretFiles(BaseSettings):
    """Reads the environment, then the files, in the same form: JSON for whatever isn't a plain value."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """As pydantic-settings asks for it. The prefix may have been given to the call alone, so it is env's."""
        prefix = env_settings.env_prefix if isinstance(env_settings, EnvSettingsSource) else None
        files = NestedSecretsSettingsSource(
            file_secret_settings, secrets_dir=secrets_folder(), secrets_dir_missing="ok", secrets_prefix=prefix
        )
        return init_settings, env_settings, files
