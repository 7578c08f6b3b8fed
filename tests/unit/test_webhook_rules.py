"""Standard Webhooks' signature and schedule, and the places to which a webhook may go."""

import json
from datetime import UTC, datetime

import pytest

from services.trials.subscriptions.places import PlaceRefused, Places
from services.trials.subscriptions.signing import RETRIES, headers, new_secret, pause_after, payload

AT = datetime(2021, 2, 25, 14, 52, 10, tzinfo=UTC)


def test_a_signature_is_that_of_the_specifications_own_example() -> None:
    """Vector of the reference libraries' test suites."""
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    body = b'{"test": 2432232314}'
    assert headers(secret, message, datetime.fromtimestamp(1614265330, UTC), body) == {
        "content-type": "application/json", "webhook-id": message, "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip


def test_no_two_secrets_are_the_same() -> None:
    assert new_secret() != new_secret()


def test_a_payload_says_where_the_report_is_and_not_what_it_says() -> None:
    told = json.loads(payload("report.found", AT, "sub", 7, "rep"))
    assert told == {
        "type": "report.found", "timestamp": "2021-02-25T14:52:10+00:00",
        "data": {"subscription_id": "sub", "sequence": 7, "report_id": "rep"},
    }  # fmt: skip


def test_pauses_grow_as_specified_with_a_little_chance_and_end() -> None:
    assert RETRIES == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    for failures, planned in enumerate(RETRIES, 1):
        assert planned <= (pause_after(failures) or 0) <= planned * 1.1
    assert pause_after(len(RETRIES) + 1) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.org/x", "https_needed"), ("ftp://hooks.example.org", "https_needed"),
        ("https://user:pass@hooks.example.org", "bad_url"), ("https://", "bad_url"), ("https://a b", "bad_url"),
        ("https://hooks.example.org/#x", "bad_url"), ("https://x:99999/", "bad_url"), ("https://ex\nample", "bad_url"),
        ("https://10.0.0.8/", "private_address"), ("https://127.0.0.1/", "private_address"),
        ("https://[::1]/", "private_address"), ("https://[::ffff:127.0.0.1]/", "private_address"),
        ("https://169.254.169.254/latest/meta-data", "private_address"), ("https://192.168.1.1/", "private_address"),
        ("https://[fd00::1]/", "private_address"), ("https://0.0.0.0/", "private_address"),
        ("https://224.0.0.1/", "private_address"),
    ],
)  # fmt: skip
def test_a_webhook_goes_by_https_to_the_public_internet_alone(url: str, why: str) -> None:
    with pytest.raises(PlaceRefused) as refused:
        Places().check(url)
    assert refused.value.why == why


def test_private_networks_are_a_setting_and_the_cloud_s_own_address_is_never_allowed() -> None:
    Places(private=True).check("https://10.0.0.8/hook")
    for url in ("https://169.254.169.254/", "https://127.0.0.1/", "http://10.0.0.8/"):
        with pytest.raises(PlaceRefused):
            Places(private=True).check(url)


def test_an_embedded_system_may_call_this_machine_without_tls() -> None:
    Places(loopback=True).check("http://127.0.0.1:8099/hook")
    Places(loopback=True).check("http://localhost:8099/hook")
    with pytest.raises(PlaceRefused):
        Places(loopback=True).check("http://10.0.0.8/hook")


async def test_a_name_is_refused_when_any_of_its_addresses_is_private() -> None:
    with pytest.raises(PlaceRefused, match="public internet"):
        await Places().find("https://localhost/hook")
    assert await Places(loopback=True).find("http://localhost:80/hook") in ("127.0.0.1", "::1")


async def test_a_name_that_means_nothing_is_refused() -> None:
    with pytest.raises(PlaceRefused, match="can be found"):
        await Places().find("https://nowhere.invalid/hook")
    with pytest.raises(PlaceRefused):
        await Places().find(f"https://{'a' * 70}.example.org/hook")
