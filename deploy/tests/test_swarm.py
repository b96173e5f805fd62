"""scripts/swarm-file, with what `docker compose config` tells; deploy/try runs the whole on a real swarm."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from compose import ROOT

BOUNDS = {"resources": {"limits": {"cpus": 0.5, "memory": "67108864", "pids": 64}}, "placement": {}}
SERVICES = {
    "check-secrets": {"image": "redis", "network_mode": "none", "deploy": BOUNDS},
    "api": {
        "image": "api:one", "command": None, "restart": "unless-stopped", "security_opt": ["no-new-privileges:true"],
        "depends_on": {"migrate": {"condition": "service_completed_successfully"}}, "cap_drop": ["ALL"], "read_only": True,
        "deploy": {**BOUNDS, "replicas": 3}, "networks": {"internal": None}, "stop_grace_period": "2m30s",
        "secrets": [{"source": "token", "target": "/run/secrets/token"}], "tmpfs": ["/tmp:size=64m,noexec", "/run"],
        "volumes": [{"type": "bind", "source": "/srv/api", "target": "/run/provider", "read_only": True, "bind": {"create_host_path": True}}],
    },
    "migrate": {"image": "api:one", "restart": "no", "deploy": BOUNDS},
    "postgres": {
        "image": "postgres", "shm_size": "134217728", "deploy": BOUNDS,
        "volumes": [{"type": "volume", "source": "postgres", "target": "/data", "volume": {}}],
    },
    "nginx": {
        "image": "nginx", "deploy": BOUNDS,
        "ports": [{"mode": "ingress", "host_ip": "0.0.0.0", "target": 8443, "published": "443", "protocol": "tcp"}],
    },
}


class SwarmFile(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "token").write_text("first\n")
        docker = self.folder / "docker"
        docker.write_text(f"#!/bin/sh\n[ $2 = config ] && exec cat {self.folder}/config\n! grep -qs weak {self.folder}/token\n")
        docker.chmod(0o755)
        self.tell(SERVICES)

    def tell(self, services):
        told = {
            "services": services,
            "networks": {"internal": {"name": "p_internal", "internal": True, "ipam": {}}, "edge": {"name": "p_edge"}},
            "volumes": {"postgres": {"name": "p_postgres"}},
            "secrets": {"token": {"name": "p_token", "file": str(self.folder / "token")}, "other": {"name": "p_other", "file": "/nowhere"}},
        }
        (self.folder / "config").write_text(json.dumps(told))

    def run_script(self, *names):
        environment = os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        return subprocess.run([ROOT / "scripts/swarm-file", *names], env=environment, capture_output=True, text=True)

    def stack(self, *names):
        told = self.run_script(*names)
        self.assertEqual(told.returncode, 0, told.stderr)
        return json.loads(told.stdout)

    def test_a_stack_has_what_a_swarm_can_do_and_nothing_else(self):
        stack = self.stack()
        self.assertEqual(set(stack["services"]), set(SERVICES) - {"check-secrets"})
        api = stack["services"]["api"]
        self.assertEqual(
            set(api), {"image", "cap_drop", "read_only", "deploy", "networks", "stop_grace_period", "secrets", "volumes", "ports"}
        )
        self.assertEqual(api["deploy"]["update_config"]["order"], "start-first")
        self.assertEqual((api["deploy"]["endpoint_mode"], api["deploy"]["resources"]["limits"]["cpus"]), ("dnsrr", "0.5"))
        self.assertEqual(
            api["volumes"],
            [
                {"type": "bind", "source": "/srv/api", "target": "/run/provider", "read_only": True},
                {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 64 << 20, "mode": 0o1777}},
                {"type": "tmpfs", "target": "/run", "tmpfs": {"size": 64 << 20, "mode": 0o1777}},
            ],
        )
        self.assertEqual(stack["networks"]["internal"], {"driver": "overlay", "internal": True})

    def test_data_and_the_door_stay_on_one_node(self):
        services = self.stack()["services"]
        constrained = {name for name, told in services.items() if told["deploy"]["placement"].get("constraints")}
        self.assertEqual(constrained, {"postgres", "nginx"})
        self.assertTrue(all(services[name]["deploy"]["update_config"]["order"] == "stop-first" for name in constrained))
        self.assertEqual(services["nginx"]["ports"], [{"target": 8443, "published": 443, "mode": "host"}])
        self.assertIn({"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 134217728, "mode": 0o1777}}, services["postgres"]["volumes"])

    def test_the_migration_runs_to_its_end_and_can_go_first(self):
        stack = self.stack("migrate")
        self.assertEqual(list(stack["services"]), ["migrate"])
        self.assertEqual(stack["services"]["migrate"]["deploy"]["mode"], "replicated-job")
        self.assertEqual(stack["secrets"], {})

    def test_other_content_is_another_secret(self):
        first = self.stack()["secrets"]
        self.assertEqual(list(first), ["token"], "only what is used")
        (self.folder / "token").write_text("second\n")
        self.assertNotEqual(first["token"]["name"], self.stack()["secrets"]["token"]["name"])

    def test_says_what_is_wrong(self):
        unknown = self.run_script("apo")
        self.assertEqual((unknown.returncode, unknown.stdout), (1, ""))
        self.assertIn("there is no service apo; there are api, migrate, postgres, nginx", unknown.stderr)
        self.tell({name: told for name, told in SERVICES.items() if name != "check-secrets"})
        self.assertIn("this is not production", self.run_script().stderr)

    def test_weak_secrets_make_no_stack(self):
        (self.folder / "token").write_text("weak\n")
        refused = self.run_script()
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
