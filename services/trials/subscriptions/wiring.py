"""The rooms of subscriptions put together, for the composition root."""

from dataclasses import dataclass

from chassis.sealing import Keyring
from chassis.store import Store
from chassis.supervisor import Part
from services.trials.evaluating import Evaluator
from services.trials.settings import TrialsSettings
from services.trials.subscriptions.bell import Bell, Wake
from services.trials.subscriptions.desk import SubscriptionDesk
from services.trials.subscriptions.digests import Digests
from services.trials.subscriptions.following import MatchHandlers
from services.trials.subscriptions.places import Places
from services.trials.subscriptions.summaries import Summaries
from services.trials.subscriptions.telling import Teller
from services.trials.subscriptions.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """``bell`` is rung when matches were followed; it wakes the relay, webhooks and streams."""

    desk: SubscriptionDesk
    handlers: MatchHandlers
    summaries: Summaries
    webhooks: Webhooks
    digests: Digests
    bell: Bell

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.summaries, self.webhooks, self.digests)


def wire(
    settings: TrialsSettings, store: Store, evaluator: Evaluator, master: Keyring, wake_relay: Wake
) -> Subscriptions:
    """Nothing runs yet."""
    bell, teller = Bell(), Teller(evaluator.publisher, evaluator.clock)
    places = Places(private=settings.webhooks_private, loopback=settings.kafka.embedded)
    handlers = MatchHandlers(evaluator.offers, evaluator.catalogue, teller, master)
    desk = SubscriptionDesk(store, settings.kafka, evaluator.offers, evaluator.clock, master, handlers, places, bell)
    webhooks = Webhooks(store, evaluator, master, bell, places, settings.webhook_seconds)
    bell.answer(wake_relay)
    bell.answer(webhooks.nudge)
    return Subscriptions(
        desk, handlers, Summaries(store, evaluator, master, teller, bell), webhooks,
        Digests(store, evaluator, master, bell), bell,
    )  # fmt: skip
