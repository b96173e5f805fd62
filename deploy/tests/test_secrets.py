"""Making secrets, and refusing those that must not be used."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from compose import PRODUCTION, ROOT, load
from test_compose import GIVEN

NAMES = list(load(PRODUCTION, GIVEN)["secrets"])


def check(folder):
    return subprocess.run(["sh", ROOT / "deploy/check-secrets", folder], capture_output=True, text=True, check=False)


class Secrets(unittest.TestCase):
    def setUp(self):
        self.made = pathlib.Path(tempfile.mkdtemp()) / "secrets"
        self.addCleanup(shutil.rmtree, self.made.parent)
        self.make()
        # What a container sees: files only, and only those that the compose files name.
        self.folder = self.made.parent / "seen"
        self.folder.mkdir()
        for name in NAMES:
            shutil.copy(self.made / name, self.folder / name)

    def make(self):
        subprocess.run([ROOT / "scripts/init-secrets"], env={**os.environ, "SECRETS_DIR": str(self.made)}, check=True, capture_output=True)

    def put(self, name, text):
        (self.folder / name).chmod(0o644)
        (self.folder / name).write_text(text)

    def test_what_is_made_is_taken(self):
        self.assertEqual(check(self.folder).returncode, 0, check(self.folder).stderr)

    def test_made_again_nothing_changes(self):
        before = {path: path.read_bytes() for path in self.made.rglob("*") if path.is_file()}
        self.make()
        self.assertEqual(before, {path: path.read_bytes() for path in self.made.rglob("*") if path.is_file()})

    def test_only_we_can_enter_and_containers_can_read(self):
        self.assertEqual(self.made.stat().st_mode & 0o777, 0o700)
        for name in NAMES:
            self.assertEqual((self.made / name).stat().st_mode & 0o777, 0o444)
        self.assertEqual((self.made / "backup_key").stat().st_mode & 0o777, 0o400)

    def test_passwords_agree_with_each_other(self):
        def read(name):
            return (self.made / name).read_text().strip()

        self.assertIn(f":{read('database_owner_password')}@", read("database_owner_url"))
        password = read("redis_auth").removeprefix("requirepass ")
        self.assertIn(f":{password}@", read("redis_url"))
        self.assertIn(password, read("redis_passwords"))

    def test_every_secret_of_development_is_refused(self):
        for name in NAMES:
            with self.subTest(secret=name):
                kept = (self.folder / name).read_text()
                self.put(name, (ROOT / "deploy/development" / name).read_text())
                refused = check(self.folder)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(f"secret {name}: ", refused.stderr)
                self.put(name, kept)

    def test_a_short_an_empty_and_a_doubled_secret_are_refused(self):
        for text, words in (("0123456789", "shorter than 32"), ("", "shorter than 32"), ((self.folder / "mcp_slack_tokens").read_text(), "is the same")):
            with self.subTest(words=words):
                self.put("mcp_stripe_tokens", text)
                refused = check(self.folder)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(words, refused.stderr)

    def test_of_two_tokens_while_one_is_rotated_each_is_checked(self):
        old = (self.folder / "mcp_postgres_tokens").read_text()
        new = "0123456789abcdef" * 4 + "\n"
        self.put("mcp_postgres_tokens", new + old)
        self.assertEqual(check(self.folder).returncode, 0, check(self.folder).stderr)
        other = (self.folder / "mcp_slack_tokens").read_text()
        for tokens, words in (("short\n" + old, "shorter than 32"), (new + "short\n", "shorter than 32"), (new + other, "is the same")):
            with self.subTest(tokens=words):
                self.put("mcp_postgres_tokens", tokens)
                refused = check(self.folder)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(words, refused.stderr)

    def test_no_secret_is_shown(self):
        self.put("mcp_stripe_tokens", "example-" + "canary" * 6)
        self.assertNotIn("canary", check(self.folder).stderr + check(self.folder).stdout)


if __name__ == "__main__":
    unittest.main()
