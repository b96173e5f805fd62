"""Rules, alerts, runbooks and dashboards, without an engine. Needs promtool."""
import importlib.util
import json
import re
import subprocess
import tempfile
import unittest

import yaml

import queries
from compose import DEVELOPMENT, ROOT, load

PROMETHEUS = ROOT / "monitoring/prometheus"
GRAFANA = ROOT / "monitoring/grafana"
ALERTS = {rule["alert"]: rule for rule in queries.rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in queries.rules() if "record" in rule}


def promtool(*words):
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


class Rules(unittest.TestCase):
    def test_prometheus_takes_its_configuration_and_rules(self):
        said = promtool("check", "config", PROMETHEUS / "prometheus.yml")
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)

    def test_every_rule_does_what_its_test_says(self):
        said = promtool("test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)

    def test_every_alert_is_seen_to_fire_and_to_be_silent(self):
        fires, silent = set(), set()
        for path in (PROMETHEUS / "tests").glob("*.yml"):
            for case in yaml.safe_load(path.read_text())["tests"]:
                for asked in case["alert_rule_test"]:
                    (fires if asked["exp_alerts"] else silent).add(asked["alertname"])
        self.assertEqual(fires, set(ALERTS))
        self.assertEqual(silent, set(ALERTS))

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self):
        for name, rule in ALERTS.items():
            with self.subTest(alert=name):
                self.assertIn(rule["labels"]["severity"], {"warning", "critical"})
                self.assertTrue(rule["annotations"]["summary"])
                runbook = ROOT / rule["annotations"]["runbook_url"]
                self.assertEqual(runbook.parent, ROOT / "docs/runbooks")
                self.assertIn(name, runbook.read_text().split("\n")[0])

    def test_what_takes_as_long_as_its_bytes_is_not_called_slow(self):
        paths = json.loads((ROOT / "api/openapi.json").read_text())["paths"]

        def carries(operation):
            taken = set(operation.get("requestBody", {}).get("content", {}))
            given = {kind for code, answer in operation["responses"].items() if code == "200" for kind in answer.get("content", {})}
            return taken & {"text/csv", "application/octet-stream"} or "application/octet-stream" in given

        files = {path for path, item in paths.items() if any(carries(item[method]) for method in ("get", "post", "put") if method in item)}
        self.assertTrue(files)
        asked = [part for rule in queries.rules() for part in re.findall(r"http_request_duration_seconds_\w+\{([^}]*)\}", rule["expr"])]
        # A numerator and a denominator of four windows, and the floors of two alerts.
        self.assertEqual(len(asked), 10)
        for part in asked:
            without = re.search(r'route!~"([^"]+)"', part)
            self.assertEqual({path for path in paths if re.fullmatch(without[1], path)}, files)

    def test_a_runbook_starts_nothing_but_what_it_names(self):
        for path in (ROOT / "docs/runbooks").glob("*.md"):
            for command in re.findall(r"docker compose up[^`]*", path.read_text()):
                with self.subTest(runbook=path.name):
                    self.assertRegex(command, r"^docker compose up -d --no-deps --wait \S+$")

    def test_every_runbook_has_its_alerts(self):
        for path in (ROOT / "docs/runbooks").glob("*.md"):
            named = path.read_text().split("\n")[0].removeprefix("# ").split(", ")
            self.assertLessEqual(set(named), set(ALERTS), path.name)

    def test_every_alert_is_in_the_table_of_operations(self):
        table = (ROOT / "docs/operations.md").read_text()
        for name in ALERTS:
            self.assertRegex(table, rf"\b{name}\b")


class Queries(unittest.TestCase):
    def setUp(self):
        self.asked = {(board, panel, query) for board, panel, query in queries.panels()}
        self.asked |= {("rule", rule.get("alert", rule.get("record")), rule["expr"]) for rule in queries.rules()}

    def test_every_metric_exists(self):
        known = queries.own() | set(queries.exported()) | RECORDED | {"up", "ALERTS"}
        for board, panel, query in sorted(self.asked):
            with self.subTest(board=board, panel=panel):
                self.assertFalse(queries.metrics(query) - known)

    def test_no_metric_of_others_is_listed_in_vain(self):
        used = set().union(*(queries.metrics(query) for _, _, query in self.asked))
        self.assertFalse(set(queries.exported()) - used)

    def test_every_alert_and_record_has_a_metric(self):
        for board, panel, query in sorted(self.asked):
            with self.subTest(board=board, panel=panel):
                self.assertTrue(queries.metrics(query))

    def test_prometheus_can_read_every_panel(self):
        asked = [{"record": f"panel:{number}", "expr": query} for number, (*_, query) in enumerate(queries.panels())]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}, file)
            file.flush()
            said = promtool("check", "rules", "--lint=none", file.name)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)

    def test_a_misspelt_metric_is_found(self):
        self.assertEqual(
            queries.metrics('sum by (job, le) (rate(a_total{b="c_d"}[5m] offset 1h)) / on (x) group_left (y) max(e:f) > 1e3 and g_h == 1'),
            {"a_total", "e:f", "g_h"},
        )


class Grafana(unittest.TestCase):
    def test_the_committed_dashboards_are_those_of_the_table(self):
        spec = importlib.util.spec_from_file_location("dashboards", GRAFANA / "dashboards.py")
        table = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(table)
        committed = {path.name: path.read_text() for path in (GRAFANA / "dashboards").iterdir()}
        self.assertEqual(committed, table.files(), "run monitoring/grafana/dashboards.py")

    def test_every_panel_asks_the_provisioned_source(self):
        sources = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
        uids = {source["uid"] for source in sources}
        for path in (GRAFANA / "dashboards").iterdir():
            board = json.loads(path.read_text())
            asked = {target["datasource"]["uid"] for panel in board["panels"] for target in panel["targets"]}
            self.assertLessEqual(asked, uids)

    def test_grafana_sees_the_folder_of_the_dashboards(self):
        provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/files.yml").read_text())["providers"][0]
        self.assertIn(f"./monitoring/grafana/dashboards:{provider['options']['path']}:ro", load(DEVELOPMENT)["services"]["grafana"]["volumes"])


if __name__ == "__main__":
    unittest.main()
