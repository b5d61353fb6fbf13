"""The dashboard and the alerts that come along, held against the figures that are really served."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from test_metrics import scrape
from watched import FRONT, answering, watched

from voiceedge.config import Config

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS = YAML(typ="safe").load((DOCS / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
OWN_LABELS = {"instance", "job", "le"}  # Prometheus adds the first two

_SELECTOR = re.compile(r"\b(voiceedge_\w+)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(?:=~?|!=|!~)"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")


@pytest.fixture
async def served(tmp_path):
    """By name: the samples' labels."""
    site = {"data_dir": tmp_path / "data", "run_dir": tmp_path / "run"}
    config = Config.model_validate({"site": site, "metrics": {"port": 0}})
    async with watched(config, front=answering(FRONT)) as port:
        text = await scrape(port)
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.samples, f"{family.name}: the service made for these tests has none"
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def rules():
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions():
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if "datasource" in variable]
    return asked + [rule["expr"] for rule in rules()]


def wrong_in(expression, served):
    """What an expression asks for that nobody serves."""
    names = [name for name, _ in _SELECTOR.findall(expression)]
    wrong = [f"{name}: no such metric" for name in names if name not in served]
    known = OWN_LABELS.union(*(labels for name in names for labels in served.get(name, ())))
    for name, matchers in _SELECTOR.findall(expression):
        for label, value in _MATCHER.findall(matchers):
            seen = {labels.get(label) for labels in served.get(name, ())} - {None}
            if label not in OWN_LABELS and not any(re.fullmatch(value, one) for one in seen):
                wrong.append(f'{name}{{{label}="{value}"}}: only {sorted(seen)}')
    for grouped in _GROUPED.findall(expression):
        wrong += [f"by ({label}): no such label" for label in re.split(r",\s*", grouped) if label not in known]
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        wrong.append("brackets")
    return wrong


def test_every_expression_asks_for_figures_that_are_served(served):
    wrong = {expression: problems for expression in expressions() if (problems := wrong_in(expression, served))}
    assert not wrong


@pytest.mark.parametrize(
    "expression",
    [
        "sum(voiceedge_call)",
        'voiceedge_workers{state="asleep"}',
        "sum by (color) (voiceedge_workers)",
        "(voiceedge_calls",
    ],
)
def test_a_wrong_expression_is_found(served, expression):
    assert wrong_in(expression, served)


def test_every_figure_is_shown_somewhere(served):
    shown = {name for expression in expressions() for name, _ in _SELECTOR.findall(expression)}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert told - shown == {
        "voiceedge_legs_total",
        "voiceedge_scrape_seconds",
        "voiceedge_front_calls",
        "voiceedge_front_up_seconds",
    }


def test_the_dashboard_can_be_imported():
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert DASHBOARD["schemaVersion"] >= 36
    taken = set()
    for panel in everything:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(legends)) == len(legends)
        for target in panel["targets"]:
            grouped = {label for found in _GROUPED.findall(target["expr"]) for label in re.split(r",\s*", found)}
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert not grouped or named <= grouped


def test_the_alerts_have_the_form_that_prometheus_takes():
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["alert"].startswith("VoiceEdge")
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        grouped = {label for found in _GROUPED.findall(rule["expr"]) for label in re.split(r",\s*", found)} - {"le"}
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert not grouped or used <= grouped
