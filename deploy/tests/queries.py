"""The queries of our dashboards and rules, and the metrics they name."""
import json
import re

import yaml

from compose import ROOT

MONITORING = ROOT / "monitoring"
# What Grafana puts in.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$job": "mcp-.*"}
# What stands for a count that nothing was counted for yet.
FALLBACK = re.compile(r" or on\(\) vector\(-?\d+\)$")
# Words of PromQL, and lists of labels.
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "inf", "nan"}
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


def fill(query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def panels():
    """(dashboard, panel, query) of every committed dashboard, variables filled in."""
    for path in sorted((MONITORING / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield board["title"], panel["title"], fill(target["expr"])


def rules():
    """Every rule of Prometheus."""
    for path in sorted((MONITORING / "prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def metrics(query):
    """The names of metrics in a query."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", re.sub(r'"[^"]*"', "", query))
    bare = LABELS.sub(" ", bare)
    found = re.findall(r"(?<![\w.:])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return {name for name in found if name not in WORDS}


def exported():
    """Metrics of others that we use: name: job (deploy/tests/metrics.txt)."""
    lines = (line.split(": ") for line in (ROOT / "deploy/tests/metrics.txt").read_text().splitlines())
    return {name: job for job, names in lines for name in names.split()}


def own():
    """Metrics of our own programs: the names in their source."""
    sources = (ROOT / "api/src/telemetry.rs", ROOT / "mcp-sidecars/kit/src/metrics.rs")
    text = "".join(path.read_text() for path in sources)
    names = set(re.findall(r'"([a-z][a-z0-9]*(?:_[a-z0-9]+)+)"', text))
    histograms = {f"{name}_{part}" for name in names if name.endswith("_seconds") for part in ("bucket", "count", "sum")}
    # The process collector of the `prometheus` crate; and what scripts/backup leaves for the node exporter.
    process = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
    scripts = set(re.findall(r"event_planner_backup_\w+", (ROOT / "scripts/backup").read_text()))
    return names | histograms | process | scripts
