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
        subprocess.run([ROOT / "scripts/init-secrets", "--no-env"], env={**os.environ, "SECRETS_DIR": str(self.made)}, check=True, capture_output=True)

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


class Noted(unittest.TestCase):
    """What init-secrets tells Compose, in a checkout of its own."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(ROOT / "scripts", self.root / "scripts")

    def make(self, *words, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_") and name != "SECRETS_DIR"}
        return subprocess.run([self.root / "scripts/init-secrets", *words], env={**kept, **more}, capture_output=True, text=True, check=False)

    def noted(self):
        return (self.root / ".env").read_text().splitlines() if (self.root / ".env").exists() else None

    def made(self):
        return sorted(path.parent.name for path in self.root.rglob("backup_key"))

    def test_plain_compose_means_production_from_then_on(self):
        production = "COMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml"
        self.assertEqual(self.make().returncode, 0)
        self.assertEqual(self.noted(), ["SECRETS_DIR=./secrets", production])
        (self.root / ".env").write_text("# ours\nIMAGE_TAG=1")
        self.assertEqual(self.make(SECRETS_DIR=str(self.root / "there")).returncode, 0)
        self.assertEqual(self.noted(), ["# ours", "IMAGE_TAG=1", f"SECRETS_DIR={self.root}/there", production])

    def test_run_again_it_goes_where_env_says_and_changes_nothing(self):
        text = f'SECRETS_DIR="{self.root}/there" # on the other disk\nCOMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml:ours.yml\n'
        (self.root / ".env").write_text(text)
        for _ in range(2):
            self.assertEqual(self.make().returncode, 0)
            self.assertEqual(self.made(), ["there"])
            self.assertEqual((self.root / ".env").read_text(), text)

    def test_two_places_are_refused_before_anything_is_made(self):
        (self.root / ".env").write_text("SECRETS_DIR=./one\n")
        refused = self.make(SECRETS_DIR="./two")
        self.assertEqual(refused.returncode, 1)
        self.assertIn(".env says SECRETS_DIR=./one, the environment ./two", refused.stderr)
        self.assertEqual(self.made(), [])

    def test_nothing_is_noted_where_nobody_reads_it(self):
        self.assertEqual(self.make("--no-env", SECRETS_DIR="./one").returncode, 0)
        self.assertEqual(self.make(COMPOSE_ENV_FILES="/dev/null", SECRETS_DIR="./two").returncode, 0)
        self.assertEqual((self.made(), self.noted()), (["one", "two"], None))

    def test_the_folder_of_development_stays_as_it_is(self):
        (self.root / "deploy/development").mkdir(parents=True)
        refused = self.make(SECRETS_DIR="./deploy/development")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("well-known secrets", refused.stderr)
        self.assertEqual((self.made(), self.noted()), ([], None))


if __name__ == "__main__":
    unittest.main()
