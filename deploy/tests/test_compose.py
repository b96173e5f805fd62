"""What the compose files promise, without an engine. `python3 -m unittest discover -s deploy/tests`"""
import re
import subprocess
import unittest

import yaml

from compose import DEVELOPMENT, PRODUCTION, ROOT, load, variables

GIVEN = {
    "REGISTRY": "registry.test/acme", "IMAGE_TAG": "0123abc", "PUBLIC_BASE_URL": "https://events.test",
    "TLS_DIR": "/etc/tls", "SECRETS_DIR": "./secrets",
}
# What has nothing to scrape: it runs to its end, or its exporter is scraped instead.
NOT_SCRAPED = {
    "check-secrets", "migrate", "seed", "certificate", "next-steps", "sandbox",
    "postgres", "redis", "nginx",
}
# What cannot be asked how it is: it runs to its end, or has no program to ask with.
NO_HEALTH_CHECK = {"check-secrets", "migrate", "seed", "certificate", "next-steps", "nginx-exporter"}
OWN = re.compile(r"event-planner-(api|mcp-\w+|sandbox)")
# What is on its way through these may take longer than an answer: files, and jobs that wait for others.
DRAINS_LONG = {"api", "worker", "mcp-gdrive"}


def user(service):
    """Whom a container runs as: its service says so, or the Dockerfile of an image of ours."""
    ours = re.search(r"event-planner-([a-z-]+)", service["image"])
    if "user" in service or not ours:
        return service.get("user", "whoever the image says")
    users = {}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if started := re.match(r"FROM (\S+) AS (\S+)", line):
            stage = started[2]
            users[stage] = users.get(started[1], "root")
        elif line.startswith("USER "):
            users[stage] = line.split()[1]
    return users[ours[1]]


class Production(unittest.TestCase):
    def setUp(self):
        self.stack = load(PRODUCTION, GIVEN)
        self.services = self.stack["services"]

    def test_every_container_is_hardened(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                self.assertIs(service.get("read_only"), True)
                self.assertEqual(service.get("cap_drop"), ["ALL"])
                self.assertNotIn("cap_add", service)
                self.assertEqual(service.get("security_opt"), ["no-new-privileges:true"])
                # By number: what its image says may be root, or another one tomorrow.
                self.assertRegex(user(service), r"^[1-9]\d*:\d+$")
                for forbidden in ("privileged", "pid", "ipc", "userns_mode", "devices"):
                    self.assertNotIn(forbidden, service)
                self.assertNotEqual(service.get("network_mode"), "host")
                for mount in service.get("tmpfs", []):
                    if mount.startswith("/tmp"):
                        self.assertIn("noexec", mount)
                        self.assertIn("size=", mount)

    def test_every_container_has_limits_and_rotated_logs(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                limits = service["deploy"]["resources"]["limits"]
                self.assertEqual(set(limits), {"cpus", "memory", "pids"})
                self.assertEqual(service["logging"]["driver"], "json-file")
                self.assertEqual(set(service["logging"]["options"]), {"max-size", "max-file"})
                self.assertEqual(service["restart"], "no" if name in {"migrate", "check-secrets"} else "unless-stopped")

    def test_every_container_has_a_health_check(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                own = OWN.search(service["image"])
                self.assertTrue(own or "test" in service.get("healthcheck", {}) or name in NO_HEALTH_CHECK)

    def test_only_nginx_is_published(self):
        published = {name: service["ports"] for name, service in self.services.items() if service.get("ports")}
        # An IPv6 client would come through Docker's own proxy, and nginx would take all of them for one.
        self.assertEqual(published, {"nginx": ["0.0.0.0:80:8080", "0.0.0.0:443:8443"]})

    def test_only_nginx_sidecars_and_the_api_have_a_way_out(self):
        networks = self.stack["networks"]
        inside = {name for name, network in networks.items() if (network or {}).get("internal")}
        self.assertEqual(inside, {"internal", "data"})
        outward = {name for name, service in self.services.items() if set(service.get("networks", [])) - inside}
        self.assertEqual(outward - {"nginx"}, {"api", "worker"} | {f"mcp-{name}" for name in ("gdrive", "slack", "calendar", "stripe", "twilio", "linear")})
        for name, service in self.services.items():
            with self.subTest(service=name):
                if name != "nginx":
                    self.assertNotIn("edge", service.get("networks", []))

    def test_nothing_is_built_and_no_image_floats(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                self.assertNotIn("build", service)
                self.assertRegex(service["image"], r":[\w.-]*\d[\w.-]*$")

    def test_nothing_of_development_is_left(self):
        text = yaml.safe_dump(self.services)
        self.assertNotIn("development", text)
        self.assertNotIn("sandbox", text)
        self.assertEqual(self.services["api"]["environment"]["APP_ENV"], "production")

    def test_secrets_are_files_and_never_settings(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                for name, value in (service.get("environment") or {}).items():
                    if re.search(r"TOKEN|PASS|SECRET|_KEY|DATABASE.*URL|REDIS_URL", name):
                        self.assertRegex(name, r"_FILE$|__FILE$", "a secret by value")
                        self.assertTrue(value.startswith("/run/secrets/"))
        for secret in self.stack["secrets"].values():
            self.assertTrue(secret["file"].startswith("./secrets/"))

    def test_nothing_starts_before_all_secrets_were_checked(self):
        checked = {entry for entry in self.services["check-secrets"]["secrets"]}
        self.assertEqual(checked, set(self.stack["secrets"]))

        def waits(name):
            return name == "check-secrets" or any(waits(other) for other in self.services[name].get("depends_on") or {})

        for name, service in self.services.items():
            with self.subTest(service=name):
                if service.get("secrets"):
                    self.assertTrue(waits(name))

    def test_every_secret_is_made_and_has_a_development_one(self):
        made = (ROOT / "scripts/init-secrets").read_text()
        for name in self.stack["secrets"]:
            with self.subTest(secret=name):
                word = "mcp_${sidecar}_tokens" if name.startswith("mcp_") else name
                self.assertIn(word, made)
                self.assertTrue((ROOT / "deploy/development" / name).exists())
                self.assertIn("development-only", (ROOT / "deploy/development" / name).read_text())

    def test_pools_fit_into_postgres_while_twice_the_replicas_run(self):
        command = self.services["postgres"]["command"]
        most = int(next(word for word in command if word.startswith("max_connections=")).split("=")[1])
        pools = 0
        for name in ("api", "worker"):
            service = self.services[name]
            pools += 2 * int(service["deploy"]["replicas"]) * int(service["environment"]["DATABASE_CONNECTIONS"])
        # The reporting role may have 20, the exporter 5, a backup 3, Postgres keeps 3 for itself.
        self.assertLessEqual(pools + 20 + 5 + 3 + 3, most)

    def test_a_stop_waits_for_the_drain(self):
        for name, service in self.services.items():
            with self.subTest(service=name):
                if OWN.search(service["image"]) and name != "migrate":
                    delay, drain = (int(service["environment"].get(f"DRAIN_{part}", default)) for part, default in (("DELAY", 0), ("TIMEOUT", 20)))
                    self.assertEqual(drain, 120 if name in DRAINS_LONG else 20)
                    self.assertGreaterEqual(int(service["stop_grace_period"].rstrip("s")), delay + drain + 5)

    def test_nginx_lets_end_what_the_api_lets_end(self):
        waits = re.search(r"^worker_shutdown_timeout (\d+)s;$", (ROOT / "nginx/nginx.conf").read_text(), re.MULTILINE)
        api = self.services["api"]["environment"]
        self.assertGreater(int(waits[1]), int(api["DRAIN_DELAY"]) + int(api["DRAIN_TIMEOUT"]))

    def test_one_replica_may_go_away(self):
        replicas = {name: int(service["deploy"].get("replicas", 1)) for name, service in self.services.items()}
        self.assertEqual({name: count for name, count in replicas.items() if count > 1}, {"api": 3, "worker": 2})

    def test_another_number_of_replicas_is_kept(self):
        services = load(PRODUCTION, {**GIVEN, "API_REPLICAS": "5", "WORKER_REPLICAS": "4"})["services"]
        self.assertEqual([services[name]["deploy"]["replicas"] for name in ("api", "worker")], ["5", "4"])

    def test_postgres_logs_no_values_and_no_passwords(self):
        command = self.services["postgres"]["command"]
        for setting in ("log_parameter_max_length=0", "log_parameter_max_length_on_error=0"):
            self.assertIn(setting, command)
        roles = (ROOT / "database/init/roles.sh").read_text()
        said = roles[roles.index("<<SQL"):roles.index("PASSWORD '")]
        for setting in ("log_min_duration_statement = -1", "log_min_error_statement = panic"):
            self.assertIn(f"SET {setting};", said)

    def test_the_api_calls_sidecars_with_the_token_that_they_take(self):
        for name in ("api", "worker"):
            environment = self.services[name]["environment"]
            for service in sorted(self.services):
                if not service.startswith("mcp-"):
                    continue
                with self.subTest(caller=name, sidecar=service):
                    setting = service.removeprefix("mcp-").upper() + "_SIDECAR_"
                    sidecar = self.services[service]
                    self.assertEqual(environment[setting + "URL"], f"http://{service}:3000")
                    self.assertIn(service, sidecar["environment"]["ALLOWED_HOSTS"].split(","))
                    given = environment[setting + "TOKEN_FILE"].removeprefix("/run/secrets/")
                    self.assertIn({"source": given, "target": "mcp_tokens"}, sidecar["secrets"])
                    self.assertIn(given, self.services[name]["secrets"])

    def test_a_worker_is_told_no_more_than_it_needs(self):
        others = {secret for secret in self.services["worker"]["secrets"] if not secret.startswith("mcp_")}
        self.assertEqual(others, {"database_app_url", "integrations_keys"})


class Files(unittest.TestCase):
    def test_every_service_is_scraped(self):
        scrapes = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text())["scrape_configs"]
        scraped = {name for scrape in scrapes for found in scrape["dns_sd_configs"] for name in found["names"]}
        for files in (DEVELOPMENT, PRODUCTION):
            self.assertEqual(scraped, set(load(files, GIVEN)["services"]) - NOT_SCRAPED)

    def test_every_image_of_ours_has_a_stage(self):
        stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
        for name, service in load(DEVELOPMENT, GIVEN)["services"].items():
            if "build" in service:
                with self.subTest(service=name):
                    self.assertIn(service["build"]["target"], stages)
                    self.assertEqual(service["image"], f"event-planner-{service['build']['target']}")

    def test_every_image_of_production_is_pushed(self):
        workflow = yaml.safe_load((ROOT / ".github/workflows/images.yml").read_text())
        pushed = set(workflow["jobs"]["push"]["strategy"]["matrix"]["service"])
        images = (OWN.search(service["image"]) for service in load(PRODUCTION, GIVEN)["services"].values())
        self.assertEqual(pushed, {image[1] for image in images if image})

    def test_development_is_published_on_loopback_only(self):
        for name, service in load(DEVELOPMENT)["services"].items():
            for port in service.get("ports", []):
                with self.subTest(service=name):
                    self.assertTrue(port.startswith("127.0.0.1:"))

    def test_every_variable_is_documented(self):
        documented = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
        self.assertEqual(documented, variables(PRODUCTION) | {"COMPOSE_FILE", "BACKUP_DIR", "BACKUP_KEY_FILE"})

    def test_development_runs_nothing_as_root(self):
        for name, service in load(DEVELOPMENT)["services"].items():
            with self.subTest(service=name):
                self.assertRegex(user(service), r"^[1-9]\d*:\d+$")

    def test_no_two_ports_of_development_are_the_same(self):
        ports = [port.split(":")[1] for service in load(DEVELOPMENT)["services"].values() for port in service.get("ports", [])]
        self.assertEqual(len(ports), len(set(ports)))

    def test_the_build_sees_no_secret(self):
        lines = (ROOT / ".dockerignore").read_text().split("\n")
        self.assertIn("*", lines)
        named = {line[1:] for line in lines if line.startswith("!")}
        self.assertEqual(named & {"secrets", ".env", ".git", "deploy", "backups", "target"}, set())

    def test_secrets_and_backups_are_not_committed(self):
        for path in ("secrets/redis_auth", ".env", "backups/x", "docker-compose.override.yml"):
            ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
            self.assertEqual(ignored.returncode, 0, path)


if __name__ == "__main__":
    unittest.main()
