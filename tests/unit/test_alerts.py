"""Alerts stand on metrics that exist and lead to runbooks that exist; with promtool at hand they are also tried."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.metrics import DEFINITIONS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
LABELS = {f"upright_{name}": {"service", *each.labels} for name, each in DEFINITIONS.items()}


def named(rule: dict[str, Any]) -> str:
    return f"{rule['alert']} {rule['labels'].get('service', '')}".strip()


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_stands_on_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    used = re.findall(r"(upright_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert used
    for metric, filters in used:
        assert metric in LABELS
        assert set(re.findall(r"(\w+)[=!]", filters)) <= LABELS[metric]
    grouped = {label.strip() for found in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in found.split(",")}
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert grouped <= set().union(*(LABELS[metric] for metric, _ in used))
    assert shown <= grouped | rule["labels"].keys()


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_leads_to_a_runbook_that_names_it(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook"]
    assert page.parent == ROOT / "docs" / "runbooks"
    assert rule["alert"] in page.read_text("utf-8")


def test_every_runbook_stands_in_the_list() -> None:
    folder = ROOT / "docs" / "runbooks"
    listed = set(re.findall(r"\]\(([a-z-]+\.md)\)", (folder / "README.md").read_text("utf-8")))
    assert listed == {page.name for page in folder.glob("*.md")} - {"README.md"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (on Debian: prometheus)")
@pytest.mark.parametrize("arguments", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")])
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    said = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
