"""Settings come from the environment; a wrong one is an error which names the setting and hides the value."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from chassis.settings import HttpSettings, KafkaSettings, ServiceSettings, StoreSettings


class ExampleSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")

    own: int = 1


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_KAFKA__BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("EXAMPLE_STORE__URL", "postgresql://u:hunter2@db/upright")


def test_nested_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_STORE__SCHEMA", "intake")
    monkeypatch.setenv("EXAMPLE_HTTP__PORT", "0")
    monkeypatch.setenv("EXAMPLE_OWN", "2")
    key = '[{"id": "desk", "sha256": "' + "a" * 64 + '", "tenant": "cshs", "roles": ["publish"]}]'
    monkeypatch.setenv("EXAMPLE_HTTP__API_KEYS", key)
    settings = ExampleSettings()
    assert settings.kafka.bootstrap == "kafka:9092"
    assert settings.store.schema_name == "intake"
    assert settings.http.port == 0
    assert settings.http.body_limit_bytes == HttpSettings().body_limit_bytes
    assert settings.http.api_keys[0].roles == {"publish"}
    assert settings.own == 2


@pytest.mark.parametrize("name", ["EXAMPLE_KAFKAA__BOOTSTRAP", "EXAMPLE_HTTP__PROT", "EXAMPLE_OWM"])
def test_a_misspelt_name_is_an_error_that_hides_the_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "hunter3")
    with pytest.raises(ValidationError) as caught:
        ExampleSettings()
    assert name.split("_")[-1].lower() in str(caught.value).lower()
    assert "hunter3" not in str(caught.value)


def test_what_kubernetes_puts_there_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"):
        monkeypatch.setenv(f"EXAMPLE_{name}", "x")
    ExampleSettings()


def test_the_stores_password_is_not_shown() -> None:
    settings = ExampleSettings()
    assert "hunter2" in settings.store.url
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u:p@h:1/d", "postgresql+asyncpg://u:p@h:1/d"),
        ("postgres://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("sqlite:////tmp/x.db", "sqlite+aiosqlite:////tmp/x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
    ],
)
def test_a_database_url_gets_its_driver(given: str, used: str) -> None:
    assert StoreSettings(url=given).url == used


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h/d", "postgresql+psycopg://h/d", "sqlite://", "hunter2", "sqlite:///:memory:"]
)
def test_any_other_database_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        StoreSettings(url=url)
    assert "hunter2" not in str(caught.value)


def test_a_schema_is_postgresqls() -> None:
    with pytest.raises(ValidationError, match="PostgreSQL only"):
        StoreSettings(url="sqlite:///x.db", schema="intake")


@pytest.mark.parametrize(
    "half", [{"security": "sasl_ssl"}, {"username": "u", "password": "p"}, {"security": "sasl_ssl", "username": "u"}]
)
def test_half_of_the_credentials_is_an_error(half: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="go with"):
        KafkaSettings.model_validate({"bootstrap": "x", **half})


def test_two_keys_with_one_id_are_an_error() -> None:
    key = {"id": "desk", "sha256": "a" * 64, "tenant": "cshs"}
    with pytest.raises(ValidationError, match="same id"):
        HttpSettings.model_validate({"api_keys": [key, key]})


def test_secrets_come_from_files_of_the_same_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EXAMPLE_STORE__URL")
    monkeypatch.setenv("EXAMPLE_KAFKA__SECURITY", "sasl_plaintext")
    monkeypatch.setenv("EXAMPLE_KAFKA__USERNAME", "example")
    monkeypatch.setenv("UPRIGHT_SECRETS", str(tmp_path))
    (tmp_path / "example_kafka__password").write_text("hunter2\n")
    (tmp_path / "example_store__url").write_text("postgresql://u:hunter3@db/upright\n")
    (tmp_path / "example_http__api_keys").write_text('[{"id": "desk", "sha256": "' + "a" * 64 + '", "tenant": "cshs"}]')
    (tmp_path / "others_store__url").write_text("not ours")
    settings = ExampleSettings()
    assert settings.kafka.bootstrap == "kafka:9092"
    assert settings.kafka.password is not None
    assert settings.kafka.password.get_secret_value() == "hunter2"
    assert settings.store.url == "postgresql+asyncpg://u:hunter3@db/upright"
    assert settings.http.api_keys[0].id == "desk"


def test_the_environment_wins_over_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPRIGHT_SECRETS", str(tmp_path))
    (tmp_path / "example_store__url").write_text("postgresql://u@elsewhere/upright")
    assert ExampleSettings().store.url.endswith("@db/upright")


def test_a_misspelt_file_is_an_error_that_hides_what_is_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPRIGHT_SECRETS", str(tmp_path))
    (tmp_path / "example_stoer__url").write_text("hunter3")
    with pytest.raises(ValidationError, match="example_stoer__url") as caught:
        ExampleSettings()
    assert "hunter3" not in str(caught.value)


def test_files_are_found_by_the_prefix_that_a_command_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPRIGHT_SECRETS", str(tmp_path))
    monkeypatch.setenv("OTHER_KAFKA__BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("OTHER_KAFKA__SECURITY", "sasl_ssl")
    monkeypatch.setenv("OTHER_KAFKA__USERNAME", "admin")
    monkeypatch.setenv("OTHER_STORE__URL", "sqlite:///x.db")
    (tmp_path / "other_kafka__password").write_text("hunter2")
    password = ExampleSettings(_env_prefix="OTHER_").kafka.password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
