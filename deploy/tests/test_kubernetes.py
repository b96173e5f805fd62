"""What deploy/kubernetes promises, without a cluster: rendered by kustomize, held against Kubernetes' own schemas."""
import ipaddress
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

from compose import PRODUCTION, ROOT, load
from test_compose import DRAINS_LONG, GIVEN, OWN

# Schemas that Kubernetes does not bring; what is in them is looked at by a test here.
CUSTOM = {"ServiceMonitor"}
# Networks of the compose files, by the label that stands for each. nginx's is the policy `edge`.
NETWORKS = {"internal", "data", "providers"}


def render(folder):
    said = subprocess.run(["kubectl", "kustomize", ROOT / folder], capture_output=True, text=True, check=False)
    if said.returncode:
        raise AssertionError(said.stderr)
    return [thing for thing in yaml.safe_load_all(said.stdout) if thing]


def passes(address, blocks):
    """Whether one of the blocks of a NetworkPolicy holds the address."""
    address = ipaddress.ip_address(address)
    blocks = [block["ipBlock"] for block in blocks if "ipBlock" in block]
    return any(address in ipaddress.ip_network(block["cidr"])
               and not any(address in ipaddress.ip_network(hole) for hole in block.get("except", []))
               for block in blocks)


class Kubernetes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.things = render("deploy/kubernetes/overlays/production")

    def of(self, kind):
        return {thing["metadata"]["name"]: thing for thing in self.things if thing["kind"] == kind}

    def pods(self):
        return {name: thing["spec"]["template"] for kind in ("Deployment", "Job") for name, thing in self.of(kind).items()}

    def test_everything_is_what_kubernetes_knows(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump_all([thing for thing in self.things if thing["kind"] not in CUSTOM], file)
            file.flush()
            command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--no-warn", file.name]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)

    def test_the_base_renders_by_itself(self):
        self.assertTrue(render("deploy/kubernetes/base"))

    def test_every_program_of_ours_is_there(self):
        services = load(PRODUCTION, GIVEN)["services"]
        programs = {name for name, service in services.items() if OWN.search(service["image"])}
        self.assertEqual(set(self.pods()) - {"worker"}, programs - {"worker"})
        self.assertIn("worker", self.pods())

    def test_pods_run_restricted(self):
        self.assertEqual(self.of("Namespace")["event-planner"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        for name, pod in self.pods().items():
            with self.subTest(pod=name):
                spec = pod["spec"]
                self.assertIs(spec["automountServiceAccountToken"], False)
                self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for container in spec["containers"]:
                    context = container["securityContext"]
                    self.assertIs(context["allowPrivilegeEscalation"], False)
                    self.assertIs(context["readOnlyRootFilesystem"], True)
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertEqual(set(container["resources"]["requests"]), {"cpu", "memory"})

    def test_servers_are_probed_over_http(self):
        for name in self.of("Deployment"):
            for container in self.pods()[name]["spec"]["containers"]:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    with self.subTest(pod=name, probe=probe):
                        self.assertEqual(container[probe]["httpGet"]["port"], "http")
                self.assertEqual(container["livenessProbe"]["httpGet"]["path"], "/health")

    def test_a_stop_waits_for_the_drain(self):
        for name in self.of("Deployment"):
            spec = self.pods()[name]["spec"]
            given = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
            delay, drain = int(given.get("DRAIN_DELAY", 0)), int(given.get("DRAIN_TIMEOUT", 20))
            self.assertEqual(drain, 120 if name in DRAINS_LONG else 20, name)
            self.assertGreaterEqual(spec["terminationGracePeriodSeconds"], delay + drain + 5, name)

    def test_secrets_are_references(self):
        self.assertFalse(self.of("Secret"))
        for name, pod in self.pods().items():
            for entry in pod["spec"]["containers"][0].get("env", []):
                with self.subTest(pod=name, variable=entry["name"]):
                    if re.search(r"TOKEN|PASS|SECRET|_KEY|DATABASE.*URL|REDIS_URL", entry["name"]):
                        self.assertTrue(entry["name"].endswith("_FILE"))
                        self.assertTrue(entry["value"].startswith("/run/secrets/"))

    def test_a_worker_is_told_no_more_than_it_needs(self):
        sources = self.pods()["worker"]["spec"]["volumes"][0]["projected"]["sources"]
        keys = {item["key"] for source in sources for item in source["secret"]["items"]}
        self.assertEqual(keys, {"database_app_url", "tokens", "integrations_keys"})

    def test_files_of_secrets_are_where_settings_say(self):
        for name in ("api", "worker"):
            spec = self.pods()[name]["spec"]
            files = {item["path"] for source in spec["volumes"][0]["projected"]["sources"] for item in source["secret"]["items"]}
            named = {entry["value"].removeprefix("/run/secrets/api/") for entry in spec["containers"][0]["env"] if entry["name"].endswith("_FILE")}
            self.assertEqual(named, files)

    def test_every_secret_that_a_pod_mounts_is_documented(self):
        documented = (ROOT / "deploy/kubernetes/README.md").read_text()
        for pod in self.pods().values():
            for volume in pod["spec"]["volumes"]:
                named = [source["secret"]["name"] for source in volume.get("projected", {}).get("sources", [])]
                if "secret" in volume and not volume["secret"].get("optional"):
                    named.append(volume["secret"]["secretName"])
                for name in named:
                    self.assertIn("mcp-<sidecar>" if name.startswith("mcp-") else f"`{name}`", documented)

    def test_networks_are_those_of_the_compose_files(self):
        services = load(PRODUCTION, GIVEN)["services"]
        for name, pod in self.pods().items():
            with self.subTest(pod=name):
                labels = {label.split("/")[1] for label in pod["metadata"]["labels"] if label.startswith("event-planner/")}
                self.assertLessEqual(labels, NETWORKS)
                if name in services:
                    self.assertEqual(labels, set(services[name]["networks"]))

    def test_nothing_passes_that_is_not_named(self):
        policies = self.of("NetworkPolicy")
        self.assertEqual(policies["nothing"]["spec"], {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
        selected = {label.split("/")[1] for policy in policies.values() for label in policy["spec"]["podSelector"].get("matchLabels", {})}
        self.assertLessEqual(NETWORKS, selected)

    def test_the_way_out_leads_to_public_addresses_only(self):
        policies = self.of("NetworkPolicy")
        inside = ("10.96.0.1", "172.20.0.10", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "fd00::1", "fe80::1", "::1")
        for name, port in (("providers", 443), ("webhooks", 8443)):
            with self.subTest(policy=name):
                (outward,) = policies[name]["spec"]["egress"]
                self.assertEqual(outward["ports"], [{"protocol": "TCP", "port": port}])
                self.assertFalse([address for address in inside if passes(address, outward["to"])])
                self.assertTrue(passes("1.1.1.1", outward["to"]) and passes("2606:4700::1111", outward["to"]))
        callers = policies["webhooks"]["spec"]["podSelector"]["matchExpressions"]
        self.assertEqual(callers, [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["api", "worker"]}])

    def test_names_are_found_also_where_no_pod_answers(self):
        dns = self.of("NetworkPolicy")["dns"]["spec"]
        (outward,) = dns["egress"]
        self.assertEqual(dns["podSelector"], {})
        self.assertEqual(outward["ports"], [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}])
        self.assertIn({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}, outward["to"])
        # NodeLocal DNSCache, and Cloud DNS of GKE; neither neighbours nor the way out.
        self.assertTrue(all(passes(address, outward["to"]) for address in ("169.254.20.10", "169.254.169.254")))
        self.assertFalse(any(passes(address, outward["to"]) for address in ("169.254.20.11", "169.254.169.253", "10.0.0.10", "8.8.8.8")))

    def test_the_ingress_has_a_class_of_yours(self):
        self.assertIn("ingressClassName", self.of("Ingress")["api"]["spec"])
        self.assertIn("ingressClassName", (ROOT / "deploy/kubernetes/README.md").read_text())

    def test_the_way_back_is_all_but_the_job(self):
        called = [(thing["kind"], name) for kind in {thing["kind"] for thing in self.things} for name, thing in self.of(kind).items()
                  if thing["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "migrate"]
        self.assertEqual(called, [("Job", "migrate")])
        self.assertIn("kubectl apply -f version.yaml -l 'app.kubernetes.io/name!=migrate'\n", (ROOT / "deploy/kubernetes/README.md").read_text())

    def test_only_what_nginx_lets_in_gets_in(self):
        routes = re.findall(r"^location (=|\^~) (\S+) \{\n    proxy_pass", (ROOT / "nginx/routes.conf").read_text(), re.MULTILINE)
        wanted = {(path.rstrip("/"), "Exact" if kind == "=" else "Prefix") for kind, path in routes}
        paths = self.of("Ingress")["api"]["spec"]["rules"][0]["http"]["paths"]
        entered = {(path["path"], path["pathType"]) for path in paths}
        # A prefix of Kubernetes takes its own name, too.
        self.assertEqual(entered, {(path, kind) for path, kind in wanted if (path, "Prefix") not in wanted or kind == "Prefix"})

    def test_selectors_find_their_pods(self):
        pods = [pod["metadata"]["labels"] for pod in self.pods().values()]

        def found(selector):
            return sum(selector.items() <= labels.items() for labels in pods)

        for kind, selector_of in (("Service", lambda spec: spec["selector"]), ("PodDisruptionBudget", lambda spec: spec["selector"]["matchLabels"])):
            for name, thing in self.of(kind).items():
                with self.subTest(kind=kind, name=name):
                    self.assertEqual(found(selector_of(thing["spec"])), 1)
        self.assertEqual(set(self.of("PodDisruptionBudget")), set(self.of("Deployment")))

    def test_ports_of_services_exist(self):
        for name, service in self.of("Service").items():
            ports = {port["name"] for port in self.pods()[name]["spec"]["containers"][0]["ports"]}
            self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports, name)

    def test_three_replicas_of_the_api_and_two_workers(self):
        scaler = self.of("HorizontalPodAutoscaler")["api"]["spec"]
        self.assertEqual(scaler["minReplicas"], 3)
        self.assertNotIn("replicas", self.of("Deployment")["api"]["spec"], "would undo the scaler at every apply")
        self.assertEqual(self.of("Deployment")["worker"]["spec"]["replicas"], 2)

    def test_prometheus_finds_every_deployment_under_the_job_that_rules_name(self):
        monitor = self.of("ServiceMonitor")["event-planner"]["spec"]
        self.assertEqual(set(monitor), {"jobLabel", "selector", "endpoints"})
        services = self.of("Service").values()
        selected = [service for service in services if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()]
        jobs = {service["metadata"]["labels"][monitor["jobLabel"]] for service in selected}
        self.assertEqual(jobs, set(self.of("Deployment")))
        for service in selected:
            self.assertIn(monitor["endpoints"][0]["port"], {port["name"] for port in service["spec"]["ports"]})

    def test_no_image_floats(self):
        for name, pod in self.pods().items():
            self.assertRegex(pod["spec"]["containers"][0]["image"], r"^\S+/event-planner-[a-z-]+:[\w.-]+$", name)


if __name__ == "__main__":
    unittest.main()
