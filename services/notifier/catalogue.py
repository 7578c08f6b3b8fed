"""The catalogue of trials, in memory: what the guard asks before an invitation. Filled by a reader of its topic."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from chassis.decoding import Event
from services.notifier.domain import KnownTrial

USES = frozenset({"trial.published", "trial.changed", "trial.closed"})


class Catalogue:
    """Trials by tenant and id. ``ready`` says whether all of them are known as of a moment ago; set by who reads."""

    def __init__(self) -> None:
        self.ready: Callable[[], bool] = lambda: False
        self._trials: defaultdict[str, dict[str, KnownTrial]] = defaultdict(dict)
        self._tenants: dict[str, str] = {}

    def of(self, tenant: str) -> Mapping[str, KnownTrial] | None:
        """The tenant's trials by id; None while they aren't all known."""
        return self._trials[tenant] if self.ready() else None

    def on_state(self, key: str, event: Event[Any] | None) -> None:
        """The newest state of the trial with this key, or that nothing is known of it."""
        if old := self._tenants.pop(key, None):
            self._trials[old].pop(key, None)
        if event is not None:
            tenant, data = event.envelope.tenant or "", event.data
            self._tenants[key] = tenant
            self._trials[tenant][key] = KnownTrial(
                key, data.registry_id, data.status, tuple(data.programs), tuple(data.approvals)
            )
