"""scripts/rollout, backup and restore when something goes wrong, and how they read .env; with a stand-in for the engine.

Needs gpg. On a real engine they run in deploy/try."""
import fcntl
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from compose import ROOT

KEY = "0123456789abcdef" * 4
# What every stand-in begins with: `cut` kills the script, as a power cut or ^C would, where the test wants it.
BEGIN = """#!/usr/bin/env -S python3 -IS
import os, pathlib, re, signal, subprocess, sys, time
here = pathlib.Path(os.environ["HERE"])
words = sys.argv[1:]
said = " ".join(words)
with open(here / "calls", "a") as calls:
    print(said, file=calls)
def cut(place):
    if os.environ.get("CUT", "").split(":")[0] == place:
        os.kill(int((here / "pid").read_text()), int(os.environ["CUT"].split(":")[1]))
        time.sleep(0.1)
"""

# Containers are files: state, whether of `docker compose run`, health. Compose counts stopped ones, and starts them.
ROLLOUT = BEGIN + r"""
folder = here / "containers"
def read(name): return (folder / name).read_text().split()
def write(name, *fields): (folder / name).write_text(" ".join(fields))
names = sorted(path.name for path in folder.iterdir())
if said.startswith("compose ps -a "):
    for name in names:
        state, once, health = read(name)
        print(once, state, name)
elif said.startswith("compose up "):
    wanted = int(re.search(r"--scale \S+=(\d+)", said)[1])
    mine = [name for name in names if read(name)[1] == "False"]
    for name in mine:
        write(name, "running", "False", "healthy")
    newest = int(max(names)[1:])
    for number in range(wanted - len(mine)):
        write(f"c{newest + 1 + number:03d}", "running", "False", os.environ.get("HEALTH", "healthy"))
elif said.startswith("inspect -f {{.State.Health"):
    print(read(words[-1])[2])
    cut("health")
elif said.startswith("inspect "):
    print("try_data 10.0.0.1\ntry_internal address-of-" + words[-1])
elif words[0] == "stop":
    for name in words[1:]:
        write(name, "exited", *read(name)[1:])
        cut("stop")
elif words[0] == "rm":
    for name in words[1:]:
        assert read(name)[0] != "running", name
        (folder / name).unlink()
elif "/upstream" in said:
    (here / "upstream").write_text(said.split("/upstream ")[1])
"""

# psql as far as scripts/backup needs it; the dump is well when it ends with `end`.
BACKUP = BEGIN + r"""
if " psql " in said:
    failed, active = "false", True
    for line in sys.stdin.read().splitlines():
        if line.startswith("\\if"):
            active = (line.split()[1] == ":SHELL_ERROR" and failed == "true")
        elif line == "\\endif":
            active = True
        elif active and line.startswith("\\!"):
            sys.stdout.flush()
            # exec: busybox' sh says nothing of a program that was killed, either.
            failed = "true" if subprocess.run("exec " + line[2:].strip(), shell=True).returncode else "false"
        elif active and line.startswith("\\warn"):
            print(line[6:].replace(":SHELL_EXIT_CODE", "137"), file=sys.stderr)
        elif active and line == "\\quit":
            sys.exit(0)
    print("public.events|3|42", file=sys.stderr)
elif "pg_restore -f /dev/null" in said:
    sys.exit(not sys.stdin.read().endswith("end"))
elif " tar " in said:
    print("grafana")
    cut("grafana")
"""

# Databases are files with `open` or `closed` in them; `nosy` connects to what is open whenever it is asked to rename.
RESTORE = BEGIN + r"""
folder = here / "databases"
def sql(text):
    skip, there = False, False
    for line in text.splitlines():
        if m := re.match(r"SELECT EXISTS .* datname = '(\w+)'", line): there = (folder / m[1]).exists()
        elif line.startswith("\\if"): skip = not there
        elif line == "\\endif": skip = False
        elif skip: continue
        elif m := re.match(r"ALTER DATABASE (\w+) ALLOW_CONNECTIONS (true|false)", line):
            assert (folder / m[1]).exists(), line
            (folder / m[1]).write_text((folder / m[1]).read_text().split()[0] + (" open" if m[2] == "true" else " closed"))
        elif m := re.match(r"DROP DATABASE IF EXISTS (\w+)", line): (folder / m[1]).unlink(missing_ok=True)
        elif m := re.match(r"ALTER DATABASE (\w+) RENAME TO (\w+)", line):
            if os.environ.get("NOSY") and (folder / m[1]).read_text().endswith("open"):
                sys.exit(f"database {m[1]} is being accessed by other users")
            (folder / m[1]).rename(folder / m[2])
            cut("renamed")
users = here / "users"
if " psql " in said:
    text = sys.stdin.read()
    if "hashtextextended" in text: print(os.environ.get("HASHES", "public.events|3|42"))
    else: sql(text)
elif " pg_restore " in said:
    (folder / "event_planner").write_text("restored open")
    cut("pg_restore")
elif said.startswith("compose stop api"): users.write_text("stopped"); cut("stop")
elif said.startswith("compose start api"): users.write_text("started")
elif said.startswith("compose run") and said.endswith(" migrate"):
    sys.exit(int(os.environ.get("MIGRATE", "0")))
elif said.startswith("compose run") and " grafana " in said:
    sys.exit(int(os.environ.get("GRAFANA", "0")))
"""


def prepare(limit):
    """Before a script begins: as in a terminal, whoever runs the tests (under nohup, signals are ignored by all below)."""
    for cut in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(cut, signal.SIG_DFL)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


class Scripts(unittest.TestCase):
    """The scripts in a checkout of their own, with a stand-in for docker."""

    docker = BEGIN

    def setUp(self):
        self.here = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.here)
        self.root = self.here / "checkout"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        shutil.copytree(ROOT / "database", self.root / "database")
        for folder in ("bin", "containers", "databases", "disk", "checkout/monitoring/textfile", "checkout/secrets"):
            (self.here / folder).mkdir(parents=True)
        (self.root / "secrets/backup_key").write_text(KEY)
        self.program("docker", self.docker)
        self.program("sleep", "#!/bin/sh\n")

    def program(self, name, text):
        (self.here / "bin" / name).write_text(text)
        (self.here / "bin" / name).chmod(0o755)

    def run_script(self, *words, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_") and name not in ("SECRETS_DIR", "BACKUP_DIR", "BACKUP_KEY_FILE")}
        limit = more.pop("limit", None)
        environment = {**kept, "PATH": f"{self.here}/bin:{os.environ['PATH']}", "HERE": str(self.here), "TMPDIR": str(self.here / "disk"), **more}
        # exec: its own number is the one that the stand-in kills.
        command = ["bash", "-c", 'echo $$ >"$HERE/pid"; exec "$@"', "-", f"{self.root}/scripts/{words[0]}", *words[1:]]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: prepare(limit),
        )
        # What a killed one was at goes on a moment without it.
        time.sleep(0.5 if done.returncode == -signal.SIGKILL else 0)
        return done

    def calls(self):
        return (self.here / "calls").read_text() if (self.here / "calls").exists() else ""

    def env_file(self):
        return (self.root / ".env").read_text() if (self.root / ".env").exists() else None

    def hold(self, name):
        """The lock that a running script has."""
        held = open(self.root / "scripts" / name, encoding="utf-8")
        self.addCleanup(held.close)
        fcntl.flock(held, fcntl.LOCK_EX)


class Settings(Scripts):
    def setting(self, name, text, **more):
        (self.root / ".env").write_text(text)
        self.program("ask", f'#!/usr/bin/env bash\ncd {self.root} && . scripts/settings.sh && setting {name} fallback\n')
        return subprocess.run([self.here / "bin/ask"], env={"PATH": os.environ["PATH"], **more}, capture_output=True, text=True, check=False)

    def test_a_value_is_read_as_compose_reads_it(self):
        # What `docker compose config` (2.40) makes of these lines.
        for line, value in (
            ('DIR="/mnt/back ups"', "/mnt/back ups"), ("DIR='/mnt/back ups'", "/mnt/back ups"), ('DIR="/mnt/b" # the large disk', "/mnt/b"),
            ("DIR=/mnt/c # the large disk", "/mnt/c"), ("DIR=/mnt/d#e  ", "/mnt/d#e"), ("DIR=#f", "#f"), ("export DIR=/g", "/g"),
            ("DIR = /h", "/h"), (" DIR=/i", "/i"), ("DIR='a$b'", "a$b"), ("DIR=1\nDIR=2", "2"), ('DIR=""', "fallback"), ("DIR=", "fallback"),
            ('DIR="/x"\r', "/x"), ("DIR=/x\r", "/x"), ("OTHERDIR=/x", "fallback"), ("# DIR=/x", "fallback"), ("DIR_=/x", "fallback"),
        ):
            with self.subTest(line=line):
                self.assertEqual(self.setting("DIR", line + "\nLAST=1").stdout, value)

    def test_the_environment_wins_and_the_file_is_the_one_that_compose_reads(self):
        self.assertEqual(self.setting("DIR", "DIR=/x\n", DIR="/y").stdout, "/y")
        self.assertEqual(self.setting("DIR", "DIR=/x\n", DIR="").stdout, "fallback")
        self.assertEqual(self.setting("DIR", "DIR=/x\n", COMPOSE_ENV_FILES="/dev/null").stdout, "fallback")
        (self.root / "more").write_text("DIR=/z")
        self.assertEqual(self.setting("DIR", "DIR=/x\n", COMPOSE_ENV_FILES=".env,more").stdout, "/z")

    def test_what_compose_would_put_in_is_refused(self):
        refused = self.setting("DIR", "DIR=${HOME}/backups\n")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("write DIR out", refused.stderr)


class Rollout(Scripts):
    docker = ROLLOUT

    def setUp(self):
        super().setUp()
        for name in ("c001", "c002"):
            (self.here / "containers" / name).write_text("running False healthy")

    def containers(self):
        return {path.name: path.read_text().split()[0] for path in sorted((self.here / "containers").iterdir())}

    def assert_asks_dns(self):
        self.assertEqual((self.here / "upstream").read_text(), "api 8000")

    def test_new_ones_take_the_place_of_the_old_ones(self):
        done = self.run_script("rollout", "api")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.containers(), {"c003": "running", "c004": "running"})
        self.assertIn("/upstream api 8000 address-of-c003 address-of-c004\n", self.calls())
        self.assert_asks_dns()
        self.assertIn("api: 2 new, 2 retired", done.stdout)
        self.assertIsNone(self.env_file())

    def test_after_one_that_was_killed_the_newest_stay(self):
        self.run_script("rollout", "api", CUT=f"stop:{int(signal.SIGKILL)}")
        self.assertEqual(self.containers(), {"c001": "exited", "c002": "exited", "c003": "running", "c004": "running"})
        self.assertIn("address-of", (self.here / "upstream").read_text())
        done = self.run_script("rollout", "api")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.containers(), {"c005": "running", "c006": "running"})
        self.assert_asks_dns()

    def test_cut_while_the_old_ones_are_stopped_it_ends_what_it_began(self):
        for cut in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=cut):
                last = max(self.containers())
                self.run_script("rollout", "api", "2", CUT=f"stop:{int(cut)}")
                self.assertEqual(list(self.containers().values()), ["running", "running"])
                self.assertGreater(min(self.containers()), last)
                self.assert_asks_dns()

    def test_cut_before_the_new_ones_are_healthy_the_old_ones_stay(self):
        for cut in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=cut):
                done = self.run_script("rollout", "api", "3", CUT=f"health:{int(cut)}", HEALTH="starting")
                self.assertEqual(done.returncode, 130)
                self.assertEqual(self.containers(), {"c001": "running", "c002": "running"})
                self.assert_asks_dns()
                self.assertIsNone(self.env_file())

    def test_those_of_docker_compose_run_are_left_alone(self):
        (self.here / "containers/c003").write_text("running True healthy")
        (self.here / "containers/c004").write_text("exited True healthy")
        done = self.run_script("rollout", "api")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.containers(), {"c003": "running", "c004": "exited", "c005": "running", "c006": "running"})

    def test_two_do_not_run_at_once(self):
        self.hold("rollout")
        refused = self.run_script("rollout", "api")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("another rollout, or a restore, is under way", refused.stderr)
        self.assertEqual(self.calls(), "")

    def test_the_number_is_kept_for_the_next_up(self):
        (self.root / ".env").write_text("# ours\nWORKER_REPLICAS=9\nLAST=1")
        self.assertIn(".env: API_REPLICAS=3", self.run_script("rollout", "api", "3").stdout)
        self.assertEqual(self.env_file(), "# ours\nWORKER_REPLICAS=9\nLAST=1\nAPI_REPLICAS=3\n")
        self.assertEqual(self.run_script("rollout", "worker", "4").returncode, 0)
        self.assertEqual(self.env_file(), "# ours\nWORKER_REPLICAS=4\nLAST=1\nAPI_REPLICAS=3\n")
        # Without one there are as many as run.
        self.assertIn("worker: 4 new", self.run_script("rollout", "worker", WORKER_REPLICAS="7").stdout)
        self.assertIn("(until the next docker compose up)", self.run_script("rollout", "mcp-slack", "2").stdout)
        self.assertEqual(self.env_file(), "# ours\nWORKER_REPLICAS=4\nLAST=1\nAPI_REPLICAS=3\n")
        elsewhere = self.run_script("rollout", "api", "5", COMPOSE_ENV_FILES="/dev/null")
        self.assertIn("(until the next docker compose up)", elsewhere.stdout)
        self.assertEqual(self.env_file(), "# ours\nWORKER_REPLICAS=4\nLAST=1\nAPI_REPLICAS=3\n")

    def test_none_at_all_is_no_number(self):
        for container in (self.here / "containers").iterdir():
            container.write_text("exited False healthy")
        refused = self.run_script("rollout", "api")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("say how many", refused.stderr)
        self.assertEqual(set(self.containers().values()), {"exited"})


class Backup(Scripts):
    docker = BACKUP

    def setUp(self):
        super().setUp()
        self.program("pg_dump", "#!/bin/sh\nprintf 'begin end'\n")
        self.backups = self.root / "backups"

    def names(self):
        return sorted(path.name for path in self.backups.iterdir())

    def test_what_is_written_can_be_read(self):
        done = self.run_script("backup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([f"./backups/{name}" for name in self.names()], done.stdout.split())
        self.assertIn("_last_success_", (self.root / "monitoring/textfile/backup.prom").read_text())
        self.assertEqual(list((self.here / "disk").iterdir()), [])

    def test_a_dump_that_was_killed_is_no_backup(self):
        # What there is can look well.
        self.assert_no_backup_of("printf 'begin end'; kill -9 $$", "pg_dump ended with 137")

    def test_a_dump_that_is_cut_is_no_backup(self):
        self.assert_no_backup_of("printf begin", "the dump cannot be read back")

    def assert_no_backup_of(self, dump, words):
        self.program("pg_dump", f"#!/bin/sh\n{dump}\n")
        refused = self.run_script("backup")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn(words, refused.stderr)
        self.assertEqual(self.names(), [])

    def test_nothing_unencrypted_stays_beside_the_backups(self):
        self.run_script("backup", CUT=f"grafana:{int(signal.SIGKILL)}")
        self.assertEqual(self.names(), [])
        self.assertEqual(len(list((self.here / "disk").iterdir())), 1)
        # What an older version left goes; so does what a killed one left on the disk, but not what one is at.
        (self.backups / ".unfinished.abcdef").mkdir()
        (self.backups / ".unfinished.abcdef/database.dump").write_text("rows")
        used = self.here / "disk/event-planner-work.used"
        used.mkdir()
        held = os.open(used, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.assertEqual(self.run_script("backup").returncode, 0)
        self.assertEqual([name[:14] for name in self.names()], ["event-planner-"])
        self.assertEqual(list((self.here / "disk").iterdir()), [used])

    def test_two_do_not_run_at_once(self):
        self.hold("backup")
        refused = self.run_script("backup")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("another backup is under way", refused.stderr)

    def test_where_it_goes_and_its_key_are_read_from_env(self):
        (self.root / "secrets").rename(self.here / "our secrets")
        (self.root / ".env").write_text(f'BACKUP_DIR="{self.here}/there" # the large disk\nSECRETS_DIR=\'{self.here}/our secrets\'\n')
        done = self.run_script("backup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith(f"{self.here}/there/event-planner-"), done.stdout)


class Restore(Scripts):
    docker = RESTORE

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, folder)
        for name, text in (("about", "taken then"), ("tables", "public.events|3|42\n"), ("database.dump", "rows" * 100_000), ("grafana.tar", "")):
            (folder / name).write_text(text)
        make = """
            sha256sum about tables database.dump grafana.tar >sums
            tar -cf - sums about tables database.dump grafana.tar |
                gpg --batch --quiet --pinentry-mode loopback --passphrase-file <(echo "$1") --symmetric -o file
            gpgconf --kill all
        """
        subprocess.run(["bash", "-euo", "pipefail", "-c", make, "-", KEY], cwd=folder, env={**os.environ, "GNUPGHOME": str(folder)}, check=True)
        cls.made = (folder / "file").read_bytes()

    def setUp(self):
        super().setUp()
        (self.here / "databases/event_planner").write_text("ours open")
        self.file = self.here / "backup.tar.gpg"
        self.file.write_bytes(self.made)

    def restore(self, **more):
        return self.run_script("restore", str(self.file), **more)

    def databases(self):
        return {path.name.split("_before_")[0] + "_before" * ("_before_" in path.name): path.read_text() for path in (self.here / "databases").iterdir()}

    def assert_undone(self, done):
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.databases(), {"event_planner": "ours open"}, done.stderr)
        self.assertEqual((self.here / "users").read_text(), "started")
        self.assertIn("the database is as it was before", done.stderr)
        self.assertEqual(list((self.here / "disk").iterdir()), [])

    def test_it_takes_the_place_of_the_database(self):
        done = self.restore(NOSY="1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.databases(), {"event_planner": "restored open", "event_planner_before": "ours open"})
        self.assertEqual((self.here / "users").read_text(), "started")
        self.assertIn("release-deliveries", done.stdout)
        self.assertIn("scripts/rotate-token grafana_admin_password", done.stdout)
        self.assertIn("compose start grafana", self.calls())

    def test_when_its_rows_differ_it_is_undone(self):
        self.assert_undone(self.restore(HASHES="public.events|2|41"))

    def test_when_the_migration_fails_it_is_undone(self):
        done = self.restore(MIGRATE="1")
        self.assert_undone(done)
        self.assertIn("bringing it to the version of now failed", done.stderr)
        self.assertNotIn("grafana", self.calls())

    def test_wherever_it_is_cut_it_is_undone(self):
        for place in ("renamed", "pg_restore"):
            for cut in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                with self.subTest(place=place, signal=cut):
                    self.assert_undone(self.restore(CUT=f"{place}:{int(cut)}"))
        done = self.restore(CUT=f"stop:{int(signal.SIGINT)}")
        self.assertEqual(self.databases(), {"event_planner": "ours open"}, done.stderr)
        self.assertEqual((self.here / "users").read_text(), "started")

    def test_without_grafana_it_says_so_and_grafana_runs(self):
        done = self.restore(GRAFANA="2")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.databases(), {"event_planner": "restored open", "event_planner_before": "ours open"})
        self.assertIn("the database is restored, Grafana's state is not", done.stderr)
        self.assertNotIn("rotate-token", done.stdout)
        self.assertTrue(self.calls().endswith("compose start grafana\n"))

    def test_a_full_disk_is_not_a_bad_file(self):
        # No file may grow beyond this.
        full = self.restore(limit=100_000)
        self.assertEqual(full.returncode, 1)
        self.assertIn(f"{self.file} is good, but could not be unpacked", full.stderr)
        self.assertEqual(self.calls(), "")
        self.file.write_bytes(self.file.read_bytes()[:-1000])
        cut = self.restore()
        self.assertEqual(cut.returncode, 1)
        self.assertIn(f"{self.file} is cut, changed, or made with another key; nothing was done", cut.stderr)

    def test_it_waits_for_a_rollout(self):
        self.hold("rollout")
        refused = self.restore()
        self.assertEqual(refused.returncode, 1)
        self.assertIn("another restore, or a rollout, is under way", refused.stderr)
        self.assertEqual(self.calls(), "")


if __name__ == "__main__":
    unittest.main()
