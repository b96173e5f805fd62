"""What the workflows of GitHub promise, as far as it can be seen without GitHub."""
import json
import os
import re
import subprocess
import unittest
import uuid

import yaml

from compose import ROOT

IMAGES, TEST = (yaml.safe_load((ROOT / ".github/workflows" / name).read_text()) for name in ("images.yml", "test.yml"))


def sbom():
    return subprocess.run([ROOT / "scripts/sbom", "event-planner-api"], capture_output=True, text=True, check=True).stdout


class Sbom(unittest.TestCase):
    def test_it_is_what_actions_attest_sbom_takes_for_cyclonedx(self):
        written = json.loads(sbom())
        self.assertEqual((written["bomFormat"], written["specVersion"]), ("CycloneDX", "1.6"))
        self.assertEqual(uuid.UUID(written["serialNumber"].removeprefix("urn:uuid:")).urn, written["serialNumber"])
        self.assertTrue(written["components"])

    def test_the_same_program_has_the_same_list(self):
        self.assertEqual(sbom(), sbom())


class Images(unittest.TestCase):
    def setUp(self):
        self.push = IMAGES["jobs"]["push"]
        self.steps = {step.get("uses", "").split("@")[0] or step.get("id"): step for step in self.push["steps"]}

    def test_one_that_fails_stops_no_other(self):
        self.assertIs(self.push["strategy"]["fail-fast"], False)

    def test_an_owner_with_capitals_has_images(self):
        text = self.steps["image"]["run"].replace("${{ matrix.service }}", "api")
        said = subprocess.run(["bash", "-ec", text], capture_output=True, text=True, check=True,
                              env={**os.environ, "REGISTRY": "ghcr.io/Acme-Corp", "GITHUB_OUTPUT": "/dev/stdout"}).stdout
        self.assertEqual(said.splitlines(), ["host=ghcr.io", "name=ghcr.io/acme-corp/event-planner-api"])
        # And nothing goes round it.
        self.assertEqual(re.findall(r"env\.REGISTRY|repository_owner", json.dumps(self.push)), [])

    def test_each_is_attested_with_its_provenance_and_its_list(self):
        self.assertLessEqual({"id-token", "attestations", "packages"}, {name for name, right in IMAGES["permissions"].items() if right == "write"})
        for action in ("actions/attest-build-provenance", "actions/attest-sbom"):
            with self.subTest(action=action):
                given = self.steps[action]["with"]
                self.assertEqual(given["subject-name"], "${{ steps.image.outputs.name }}")
                self.assertEqual(given["subject-digest"], "${{ steps.push.outputs.digest }}")
                self.assertIs(given["push-to-registry"], True)


class Trial(unittest.TestCase):
    def test_the_stack_is_tried_with_all_that_the_trial_needs(self):
        needed = set(re.findall(r"needs Debian's package ([\w.-]+\w)", (ROOT / "deploy/try").read_text()))
        self.assertTrue(needed)
        runs = [step["run"] for step in TEST["jobs"]["stack"]["steps"] if "run" in step]
        before = " ".join(runs[:runs.index("deploy/try")])
        for package in needed:
            self.assertRegex(before, rf"apt-get install [^&]*{re.escape(package)}\b")


if __name__ == "__main__":
    unittest.main()
