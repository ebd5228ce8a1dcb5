"""The dashboard and the alert rules of ``deploy/``, as tests read them."""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).resolve().parents[1] / "deploy"
DASHBOARD: Final[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "uproar.json").read_text())
RULES: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS: Final = [rule for group in RULES["groups"] for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    """Return where each query stands, and the query as Prometheus would get it."""
    return panels() + [(rule["alert"], rule["expr"]) for rule in ALERTS]


def panels() -> list[tuple[str, str]]:
    """Return the title and each query of every panel."""
    return [(panel["title"], plain(t["expr"])) for panel in PANELS for t in panel["targets"]]


def plain(query: str) -> str:
    """Fill in what Grafana fills in."""
    query = query.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return re.sub(r"\$\{?\w+\}?", ".*", query)
