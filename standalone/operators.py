"""Who works at this terminal: the holder of an API key that the service knows, else the machine's user."""

import getpass
import os

from pydantic_settings import SettingsConfigDict

from chassis.api_keys import ApiKeys, Caller
from chassis.secret_files import SettingsWithSecretFiles
from chassis.settings import HttpSettings
from standalone.commands.environment import settings_of
from standalone.commands.errors import WRONG, Failure
from standalone.commands.http import KEY

OPERATOR = "operator"


class _Callers(SettingsWithSecretFiles):
    model_config = SettingsConfigDict(
        extra="ignore", env_nested_delimiter="__", hide_input_in_errors=True, env_ignore_empty=True
    )

    http: HttpSettings = HttpSettings()


def known_operator(prefix: str) -> Caller | None:
    """Whose key ``UPRIGHT_API_KEY`` is, by the settings of the service with this prefix; None unless an operator's."""
    found = ApiKeys(settings_of(_Callers, prefix).http.api_keys).caller(os.environ.get(KEY, "").strip())
    return found if found is not None and OPERATOR in found.roles else None


def name_of_operator(prefix: str) -> str:
    """For the record."""
    known = known_operator(prefix)
    return known.key_id if known else f"user:{getpass.getuser()}"


def may_read(prefix: str, tenant: str | None) -> str:
    """Who may read a payload of this tenant's: an operator of all its programs. ``Failure`` for anybody else."""
    known = known_operator(prefix)
    if known is None or known.scope.programs is not None:
        need = f"{KEY} of an operator of all programs, known to {prefix}HTTP__API_KEYS"
        raise Failure(f"The payload may hold protected data: it needs {need}.", WRONG)
    if tenant != known.scope.tenant:
        raise Failure("The payload isn't one of this key's tenant, or doesn't say whose it is.", WRONG)
    return known.key_id
