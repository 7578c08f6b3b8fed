"""What a service says of itself to Prometheus: known names, fixed labels, nothing that is another's."""

import pytest

from chassis.metrics import Metrics, MetricsRegistry


def test_what_another_process_measures_now_is_said_no_more() -> None:
    metrics = Metrics("notifier", MetricsRegistry())
    labels = {"topic": "t", "group": "g"}
    for partition in ("0", "1"):
        metrics.gauge("consumer_lag", 7, **labels, partition=partition)
    metrics.forget("consumer_lag", **labels, partition="0")
    metrics.forget("consumer_lag", **labels, partition="5")
    said = metrics.registry.exposition().decode()
    assert 'partition="1"' in said
    assert 'partition="0"' not in said


def test_a_label_that_isnt_the_definitions_is_refused() -> None:
    metrics = Metrics("notifier", MetricsRegistry())
    with pytest.raises(ValueError, match="label"):
        metrics.gauge("deliveries_held", 1, patient="ana")
