"""The settings of the API and its workers: what the program takes, what is documented, what the stack gives.

Needs API_BINARY (target/debug/event-planner-api).
"""
import os
import re
import subprocess
import unittest

from compose import DEVELOPMENT, PRODUCTION, ROOT, load
from test_compose import GIVEN
from test_kubernetes import render

API_BINARY = os.environ.get("API_BINARY", str(ROOT / "target/debug/event-planner-api"))
# Of the health check, which is a program of its own.
HEALTH_CHECK = {"HEALTHCHECK_URL"}


def taken(command):
    """The variables that the program reads."""
    said = subprocess.run([API_BINARY, command, "--help"], capture_output=True, text=True, check=True, env={})
    return set(re.findall(r"\[env: (\w+)", said.stdout))


def documented():
    """The variables in the table of docs/operations.md, whose `<NAME>` stands for the words at the cell's end."""
    text = (ROOT / "docs/operations.md").read_text()
    table = text[text.index("| setting | what |"): text.index("SIGTERM: ")]
    found = set()
    for row in table.splitlines()[2:]:
        cell = row.split(" | ")[0]
        cell, _, words = cell.partition(", with ")
        for name, file in re.findall(r"`([A-Z_<>]{4,})`( \(or `_FILE`\))?", cell):
            for word in re.findall(r"`([A-Z]+)`", words) or [""]:
                found.add(name.replace("<NAME>", word))
                if file:
                    found.add(name.replace("<NAME>", word) + "_FILE")
    return found


class Settings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.api, cls.worker = taken("serve"), taken("worker")

    def test_every_setting_is_documented_and_no_other(self):
        self.assertEqual(documented(), self.api | self.worker)

    def test_the_stack_gives_no_setting_that_nobody_takes(self):
        for files in (DEVELOPMENT, PRODUCTION):
            services = load(files, GIVEN)["services"]
            for name, takes in (("api", self.api), ("worker", self.worker)):
                with self.subTest(files=files, service=name):
                    self.assertLessEqual(set(services[name]["environment"]), takes | HEALTH_CHECK)
        for thing in render("deploy/kubernetes/base"):
            if thing["kind"] == "Deployment" and thing["metadata"]["name"] in ("api", "worker"):
                takes = self.api if thing["metadata"]["name"] == "api" else self.worker
                given = {entry["name"] for entry in thing["spec"]["template"]["spec"]["containers"][0]["env"]}
                self.assertLessEqual(given, takes)
            if thing["kind"] == "ConfigMap" and thing["metadata"]["name"].startswith("settings-"):
                self.assertLessEqual(set(thing["data"]), self.api & self.worker)

    def test_every_other_setting_can_be_given_to_the_api_and_its_workers(self):
        for files, folder in ((DEVELOPMENT, "./deploy/development/api"), (PRODUCTION, "./secrets/api")):
            services = load(files, GIVEN if files == PRODUCTION else {})["services"]
            for name in ("api", "worker"):
                with self.subTest(files=files, service=name):
                    self.assertEqual(services[name]["env_file"], [f"{folder}/settings.env"])
                    self.assertIn(f"{folder}:/run/provider:ro", services[name]["volumes"])
        for thing in render("deploy/kubernetes/base"):
            if thing["kind"] == "Deployment" and thing["metadata"]["name"] in ("api", "worker"):
                pod = thing["spec"]["template"]["spec"]
                self.assertTrue(any("configMapRef" in source for source in pod["containers"][0]["envFrom"]))
                self.assertIn({"name": "provider", "mountPath": "/run/provider", "readOnly": True}, pod["containers"][0]["volumeMounts"])
        self.assertIn("\nprovider api\n", (ROOT / "scripts/init-secrets").read_text())

    def test_development_gives_the_api_no_setting_that_it_does_not_take(self):
        lines = (ROOT / "deploy/development/api/settings.env").read_text().splitlines()
        given = {line.split("=")[0] for line in lines if line and not line.startswith("#")}
        self.assertLessEqual(given, self.api & self.worker)
        # What the stack sets itself would win over the folder, without a word.
        services = load(DEVELOPMENT)["services"]
        self.assertFalse(given & (set(services["api"]["environment"]) | set(services["worker"]["environment"])))


if __name__ == "__main__":
    unittest.main()
