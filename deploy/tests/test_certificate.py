"""scripts/renew-certificate, with a stand-in for Docker: certbot and nginx are played."""
import os
import pathlib
import subprocess
import tempfile
import unittest

from compose import ROOT

DOCKER = """#!/bin/sh
echo "$@" >>"$CALLS"
case $1 in
run) mkdir -p "$LETSENCRYPT_DIR/live/events.example.com" && cd "$LETSENCRYPT_DIR/live/events.example.com" &&
    { [ -e privkey.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=real -keyout privkey.pem -out fullchain.pem 2>/dev/null; } ;;
esac
"""


class RenewCertificate(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "bin").mkdir()
        for name, text in {"docker": DOCKER, "install": '#!/bin/sh\n[ "$1" = -o ] && shift 2\nexec /usr/bin/install "$@"\n'}.items():
            program = self.folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        self.calls = self.folder / "calls"
        self.tls = self.folder / "tls"

    def run_script(self, *arguments, **settings):
        environment = os.environ | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "COMPOSE_ENV_FILES": "/dev/null",
            "TLS_DIR": str(self.tls),
            "LETSENCRYPT_DIR": str(self.folder / "letsencrypt"),
        }
        return subprocess.run(
            [ROOT / "scripts/renew-certificate", *arguments], env=environment | settings, capture_output=True, text=True
        )

    def subject(self):
        told = subprocess.run(
            ["openssl", "x509", "-subject", "-noout", "-in", self.tls / "fullchain.pem"], capture_output=True, text=True, check=True
        )
        return told.stdout.replace(" ", "").strip()

    def test_from_nothing_to_a_certificate_and_no_reload_without_a_new_one(self):
        ask = ("events.example.com", "ops@example.com")
        first = self.run_script(*ask)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(self.subject(), "subject=CN=events.example.com")
        self.assertFalse(self.calls.exists(), "nginx cannot answer yet")
        second = self.run_script(*ask)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(self.subject(), "subject=CN=real")
        self.assertIn("nginx has a new certificate, until", second.stdout)
        self.assertEqual((self.tls / "privkey.pem").stat().st_mode & 0o777, 0o400)
        third = self.run_script(*ask)
        self.assertEqual((third.returncode, third.stdout), (0, ""), third.stderr)
        calls = self.calls.read_text().splitlines()
        self.assertEqual([call.split()[0] for call in calls], ["run", "compose", "run"])

    def test_says_what_is_missing(self):
        for arguments, settings, words in [
            ((), {}, "DOMAIN EMAIL"),
            (("events.example.com",), {}, "who is told"),
            (("events.example.com", "ops@example.com"), {"TLS_DIR": ""}, "set TLS_DIR"),
        ]:
            told = self.run_script(*arguments, **settings)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn(words, told.stderr)
