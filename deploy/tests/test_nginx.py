"""The real nginx with our files, in front of the real API and of a server that tells what reached it.

Needs `nginx` (any since 1.18) and API_BINARY (target/debug/event-planner-api); no database: the API tells of its own
readiness without one, and that is what must not get out."""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import warnings

from compose import DEVELOPMENT, ROOT, load

API_BINARY = os.environ.get("API_BINARY", str(ROOT / "target/debug/event-planner-api"))
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
# What the API's private addresses answer, in any spelling.
PRIVATE = (b"http_requests_total", b"process_cpu", b'"database"', b"unavailable", b"Active connections")
# What may be said instead. 503 would be the API's `/ready`, and 401 is its word on any address under /v1.
REFUSALS = {302, 308, 400, 401, 404, 405}
SPELLINGS = [
    "/ready", "/ready/", "/ready?x=1", "//ready", "///ready", "/./ready", "/v1/../ready", "/v1/./../ready",
    "/v1/venues/../../ready", "/%72eady", "/r%65ady", "/%2fready", "/%2Fready", "/v1/%2e%2e/ready", "/v1/..%2fready",
    "/v1%2f..%2fready", "/v1/%2e%2e%2fready", "/%252fready", "/v1/%252e%252e/ready", "/READY", "/Ready", "/ready;a=b",
    "/ready%20", "/ready%09", "/ready%3f", "/ready%23", "/ready.", "/ready..", "/ready/.", "/docs/../ready",
    "/docs/..%2fready", "/problems/../ready", "/openapi.json/../ready", "/.well-known/../ready", "/health/../ready",
    "/health/ready", "/health%2f..%2fready", "/docs/%2e%2e/ready", "/v1/../metrics", "/metrics", "/metrics/", "//metrics",
    "/%6detrics", "/v1/..%2fmetrics", "/docs/../metrics", "/METRICS", "/stub_status", "/v1/../stub_status", "/mcp",
    "/mcp/tools", "/sandbox", "/-/late", "/-/malformed", "/nginx_status", "http://api:9100/metrics",
    "http://localhost/ready", "http://127.0.0.1:9100/metrics", "/v1/\\..\\ready", "/v1/..;/ready", "/..;/ready",
    "/v1/%c0%ae%c0%ae/ready", "/%e2%88%95ready", "/v1//..//ready", "/docs/..//ready",
]
MALFORMED = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /../ready HTTP/1.1\r\nHost: a\r\n\r\n", b"TRACE /v1/me HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT api:9100 HTTP/1.1\r\nHost: a\r\n\r\n", b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /v1/venues HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/venues HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"POST /v1/venues HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/venues HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /v1/venues HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
]
IDENTITY = {
    "On-Behalf-Of": "spoof/ed", "Provider-Account": "spoofed", "Provider-Token": "spoofed", "X-Forwarded-For": "1.2.3.4",
    "X-Forwarded-Proto": "spoofed", "X-Forwarded-Host": "spoofed", "X-Forwarded-Port": "666", "X-Forwarded-Prefix": "spoofed",
    "X-Forwarded-Server": "spoofed", "X-Real-IP": "1.2.3.4", "X-Client-IP": "1.2.3.4", "X-Cluster-Client-IP": "1.2.3.4",
    "True-Client-IP": "1.2.3.4", "Forwarded": "for=1.2.3.4", "Via": "spoofed", "X-Original-URL": "/spoofed",
    "X-Rewrite-URL": "/spoofed", "X-HTTP-Method-Override": "SPOOFED", "Proxy": "spoofed", "X-Request-Id": "spoofed-request-id",
    "x_forwarded_for": "1.2.3.4", "on_behalf_of": "spoof/ed",
}


# More than sockets and nginx hold in memory.
LARGE = 32 * 1024 * 1024


class Upstream(http.server.BaseHTTPRequestHandler):
    """Tells what reached it; `/v1/stream` sends a first event long before the last, `large` much; `broken` hangs up."""

    protocol_version = "HTTP/1.1"
    seen = []

    def answer(self):
        Upstream.seen.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "broken" in self.path:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.path == "/v1/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("X-Accel-Buffering", "no")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            time.sleep(3)
            self.wfile.write(b"data: last\n\n")
            self.close_connection = True
            return
        if "large" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", str(LARGE))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(bytes(LARGE))
            return
        told = json.dumps({"headers": list(self.headers.items()), "body": len(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 1).close()
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


class Nginx:
    """nginx with the files of this checkout; only the ports and the upstream are ours."""

    def __init__(self, environment, upstreams):
        self.folder = tempfile.mkdtemp(prefix="nginx-test-")
        self.http, self.https, self.status = free_port(), free_port(), free_port()
        here = pathlib.Path(self.folder)
        here.chmod(0o755)
        shutil.copytree(ROOT / "nginx", here / "nginx")
        shutil.copytree(ROOT / "nginx" / environment, here / "environment")
        (here / "tls").mkdir()
        for name in ("site.conf", "nginx.conf"):
            path = here / ("environment" if name == "site.conf" else "nginx") / name
            text = path.read_text()
            for inside, outside in (("8443", self.https), ("8080", self.http), ("8081", self.status)):
                text = text.replace(f"listen {inside}", f"listen 127.0.0.1:{outside}")
            text = text.replace("/tmp/", f"{here}/").replace("/dev/stdout", f"{here}/access.log")
            path.write_text(text)
        # One test must not see the failures of another.
        servers = "".join(f"server 127.0.0.1:{port} max_fails=0;" for port in upstreams)
        (here / "nginx/engine.conf").write_text(f"upstream api {{ {servers} keepalive 8; }}")
        script = (ROOT / "nginx/self-sign").read_text().replace("cd /certificates", f"cd {here}/tls")
        subprocess.run(["sh", "-c", script], check=True, capture_output=True)
        command = [NGINX, "-p", self.folder, "-c", str(here / "nginx/nginx.conf")]
        self.checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        self.process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        wait_for(self.https)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder)

    def log(self):
        return (pathlib.Path(self.folder) / "access.log").read_text()

    def raw(self, request, timeout=15):
        """The whole answer to these bytes, over TLS."""
        context = ssl._create_unverified_context()
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.https), timeout)) as stream:
            answer = b""
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                stream.sendall(request)
                while chunk := stream.recv(65536):
                    answer += chunk
            return answer

    def get(self, path, method="GET", headers=None, body=b""):
        lines = {"Host": "events.test", "Connection": "close", **(headers or {})}
        if body:
            lines["Content-Length"] = str(len(body))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        return self.raw(head.encode() + body)


def status(answer):
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else None


class BeforeTheApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        listen, metrics = free_port(), free_port()
        cls.api = subprocess.Popen(
            [API_BINARY, "serve", "--log-filter=off"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={"LISTEN_ADDR": f"127.0.0.1:{listen}", "METRICS_ADDR": f"127.0.0.1:{metrics}", "APP_ENV": "development",
                 "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "TRUST_FORWARDED_FOR": "true"})
        wait_for(listen)
        cls.listen, cls.nginx = listen, Nginx("development", [listen])

    @classmethod
    def tearDownClass(cls):
        cls.nginx.stop()
        cls.api.terminate()
        cls.api.wait(30)

    def test_the_private_addresses_would_answer_without_nginx(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.listen)
        self.addCleanup(connection.close)
        connection.request("GET", "/ready")
        self.assertEqual(connection.getresponse().status, 503)

    def test_no_spelling_of_a_private_address_gets_through(self):
        for path in SPELLINGS:
            for method in ("GET", "POST", "HEAD"):
                with self.subTest(path=path, method=method):
                    answer = self.nginx.get(path, method)
                    self.assertIn(status(answer), REFUSALS)
                    for word in PRIVATE:
                        self.assertNotIn(word, answer)

    def test_the_public_addresses_answer(self):
        for path, expected in (("/health", 200), ("/openapi.json", 200), ("/docs/", 200), ("/problems", 200), ("/v1/me", 401),
                               ("/problems/not_found", 200), ("/.well-known/api-catalog", 200), ("/docs", 308), ("/", 302),
                               ("/paid", 200), ("/webhooks/stripe", 405), ("/webhooks/nobody", 404)):
            with self.subTest(path=path):
                self.assertEqual(status(self.nginx.get(path)), expected)

    def test_a_large_body_that_nobody_reads_costs_no_answer(self):
        for _ in range(20):
            self.assertEqual(status(self.nginx.get("/v1/venues/import", "POST", body=b"x" * 9_000_000)), 401)

    def test_what_is_no_http_gets_a_problem_or_nothing(self):
        for request in MALFORMED:
            with self.subTest(request=request[:60]):
                answer = self.nginx.raw(request)
                for word in PRIVATE:
                    self.assertNotIn(word, answer)
                if not answer or request.startswith((b"GET /\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nBad", b"GET / HTTP/1.1\r\nHost: a\r\n:")):
                    continue
                self.assertTrue(400 <= (status(answer) or 0) <= 505, answer[:80])
                self.assertIn(b"application/problem+json", answer)
                problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
                self.assertEqual(problem["status"], status(answer))

    def test_the_request_id_is_ours_and_the_same_everywhere(self):
        for path in ("/v1/me", "/nowhere"):
            answer = self.nginx.get(path, headers={"X-Request-Id": "spoofed-request-id"})
            problem = json.loads(answer.split(b"\r\n\r\n", 1)[1])
            self.assertRegex(problem["instance"], "^[0-9a-f]{32}$")
            self.assertIn(f"x-request-id: {problem['instance']}".encode(), answer.lower())
            self.assertIn(problem["instance"], self.nginx.log())

    def test_the_log_names_no_path(self):
        self.nginx.get("/v1/events/secret-in-a-path?secret=in-a-query", headers={"Referer": "https://secret.test"})
        last = json.loads(self.nginx.log().strip().split("\n")[-1])
        self.assertEqual(last["resource"], "/v1/events")
        self.assertNotIn("secret", self.nginx.log())


class BeforeAWitness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.witnesses = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) for _ in range(2)]
        for witness in cls.witnesses:
            threading.Thread(target=witness.serve_forever, daemon=True).start()
        cls.nginx = Nginx("production", [witness.server_port for witness in cls.witnesses])

    @classmethod
    def tearDownClass(cls):
        cls.nginx.stop()
        for witness in cls.witnesses:
            witness.shutdown()
            witness.server_close()

    def test_the_files_are_valid(self):
        self.assertEqual(self.nginx.checked.returncode, 0, self.nginx.checked.stderr)
        self.assertNotIn("[warn]", self.nginx.checked.stderr)

    def test_no_header_of_the_client_says_who_it_is(self):
        answer = self.nginx.get("/v1/me", headers={**IDENTITY, "Authorization": "Bearer kept", "traceparent": "kept"})
        headers = json.loads(answer.split(b"\r\n\r\n", 1)[1])["headers"]
        self.assertNotIn("spoof", json.dumps(headers).lower())
        self.assertNotIn("1.2.3.4", json.dumps(headers))
        names = [name.lower() for name, _ in headers]
        self.assertEqual(len(names), len(set(names)))
        told = {name.lower(): value for name, value in headers}
        self.assertEqual(told["x-forwarded-for"], "127.0.0.1")
        self.assertEqual(told["x-forwarded-proto"], "https")
        self.assertEqual(told["authorization"], "Bearer kept")
        self.assertEqual(told["traceparent"], "kept")

    def test_bodies_have_the_limits_of_the_api(self):
        mebibyte = 1024 * 1024
        for path, most in (("/v1/venues", mebibyte), ("/v1/venues/import", 10 * mebibyte), ("/v1/caterers/import", 10 * mebibyte),
                           ("/v1/venues/export", mebibyte), ("/v1/venues/import/x", mebibyte), ("/webhooks/stripe", mebibyte // 4)):
            with self.subTest(path=path):
                answer = self.nginx.get(path, "POST", body=b"x" * most)
                self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["body"], most)
                head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {most + 1}\r\n\r\n"
                answer = self.nginx.raw(head.encode())
                self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"], "payload_too_large")

    def test_a_slow_reader_fills_no_disk_of_ours(self):
        context = ssl._create_unverified_context()
        # A file that nginx makes has no name for long, but its folder has changed.
        folder = pathlib.Path(self.nginx.folder) / "proxy"
        before = folder.stat().st_mtime_ns
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.nginx.https), 10)) as stream:
            stream.sendall(b"GET /v1/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            time.sleep(1)
            self.assertEqual(folder.stat().st_mtime_ns, before)
            read = 0
            while chunk := stream.recv(1 << 20):
                read += len(chunk)
        self.assertGreater(read, LARGE)

    def begin(self, path, length):
        """A request whose body does not come to its end."""
        context = ssl._create_unverified_context()
        stream = context.wrap_socket(socket.create_connection(("127.0.0.1", self.nginx.https), 10))
        self.addCleanup(stream.close)
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        stream.sendall(head.encode() + b"x" * (length - 1))
        return stream

    def test_an_address_imports_four_at_once(self):
        begun = [self.begin("/v1/venues/import", 1_000_000) for _ in range(3)] + [self.begin("/v1/caterers/import", 1_000_000)]
        time.sleep(0.5)
        refused = self.nginx.get("/v1/venues/import", "POST", body=b"x" * 9_000_000)
        self.assertEqual(status(refused), 429)
        self.assertEqual(json.loads(refused.split(b"\r\n\r\n", 1)[1])["code"], "quota_exceeded")
        self.assertEqual(status(self.nginx.get("/v1/venues", "POST", body=b"x" * 1_000_000)), 200)
        for stream in begun:
            stream.sendall(b"x")
            self.assertEqual(status(stream.recv(65536)), 200)
        self.assertEqual(status(self.nginx.get("/v1/venues/import", "POST", body=b"x" * 9_000_000)), 200)

    def test_an_import_that_fails_is_not_called_too_large(self):
        self.assertEqual(status(self.nginx.get("/v1/venues/import?broken", "POST", body=b"x" * 5 * 1024 * 1024)), 503)

    def test_a_post_is_never_sent_twice(self):
        for method, times in (("POST", 1), ("PATCH", 1), ("GET", 2)):
            Upstream.seen.clear()
            answer = self.nginx.get("/v1/broken", method, body=b"{}" if method != "GET" else b"")
            self.assertEqual(Upstream.seen, [(method, "/v1/broken")] * times)
            self.assertEqual(status(answer), 503)
            self.assertIn(b"Retry-After: 1", answer)
            self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"], "unavailable")

    def test_events_come_when_they_are_sent(self):
        context = ssl._create_unverified_context()
        started = time.monotonic()
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.nginx.https), 10)) as stream:
            stream.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while b"first" not in answer:
                answer += stream.recv(65536)
            self.assertLess(time.monotonic() - started, 1.5)
            self.assertNotIn(b"last", answer)

    def test_http_leads_to_https_and_browsers_remember(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.http)
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/venues?a=b", headers={"Host": "events.test"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.headers["Location"]), (308, "https://events.test/v1/venues?a=b"))
        for path in ("/v1/me", "/nowhere", "/v1/broken"):
            self.assertIn(b"Strict-Transport-Security: max-age=63072000", self.nginx.get(path), path)

    def test_old_tls_is_refused(self):
        context = ssl._create_unverified_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.nginx.https), 5) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain)

    def test_a_slow_client_is_hung_up_on(self):
        context = ssl._create_unverified_context()
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.nginx.https), 20)) as stream:
            started = time.monotonic()
            stream.sendall(b"GET /v1/me HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                stream.recv(1000)
            self.assertLess(time.monotonic() - started, 12)

    def test_the_status_page_is_on_its_own_port(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.status)
        self.addCleanup(connection.close)
        connection.request("GET", "/stub_status")
        self.assertIn(b"Active connections", connection.getresponse().read())


class Room(unittest.TestCase):
    """What the files of nginx promise about its container's memory, and the container has."""

    def setUp(self):
        self.nginx = load(DEVELOPMENT)["services"]["nginx"]
        (bodies,) = (mount for mount in self.nginx["tmpfs"] if mount.startswith("/tmp/client_body:"))
        self.room = int(re.search(r"size=(\d+)m", bodies)[1])
        self.options = bodies.split(":")[1].split(",")

    def test_one_address_cannot_fill_the_place_of_bodies(self):
        conf, routes = ((ROOT / "nginx" / name).read_text() for name in ("nginx.conf", "routes.conf"))
        self.assertIn("client_body_temp_path /tmp/client_body;", conf)
        connections = int(re.search(r"limit_conn connections (\d+);", conf)[1])
        most = int(re.search(r"client_max_body_size (\d+)m;", conf)[1])
        (imports,) = re.findall(r"import\$ \{(.*?)\n    \}", routes, re.DOTALL)
        # Naming a limit of its own, the location would otherwise lose the other.
        self.assertIn(f"limit_conn connections {connections};", imports)
        at_once = int(re.search(r"limit_conn imports (\d+);", imports)[1])
        largest = int(re.search(r"client_max_body_size (\d+)m;", imports)[1])
        self.assertLess(at_once * largest + (connections - at_once) * most, self.room)

    def test_every_other_larger_body_passes_through(self):
        places = re.findall(r"location \S+ (\S+) \{([^{}]*)\}", (ROOT / "nginx/routes.conf").read_text())
        for path, place in places:
            size = re.search(r"client_max_body_size (\d+)([kmg]);", place)
            if size and size[2] != "k" and "import" not in path:
                with self.subTest(path=path):
                    self.assertIn("proxy_request_buffering off;", place)

    def test_the_container_has_memory_for_what_waits(self):
        limits = self.nginx["deploy"]["resources"]["limits"]
        self.assertGreaterEqual(int(limits["memory"].removesuffix("m")), self.room + 128)
        self.assertLessEqual({"uid=101", "gid=101", "mode=0700"}, set(self.options))
        self.assertEqual(self.nginx["user"], "101:101")

    def test_reloads_do_not_use_up_the_processes(self):
        workers = int(re.search(r"^worker_processes (\w+);$", (ROOT / "nginx/nginx.conf").read_text(), re.MULTILINE)[1])
        # The master, and what several reloads within the time of one leave.
        self.assertLessEqual(1 + 10 * workers, self.nginx["deploy"]["resources"]["limits"]["pids"])


class Flood(unittest.TestCase):
    def test_an_address_that_floods_is_slowed_down(self):
        # Nobody upstream: what passes is told so at once.
        nginx = Nginx("development", [free_port()])
        try:
            connection = http.client.HTTPConnection("127.0.0.1", nginx.http)
            self.addCleanup(connection.close)
            statuses = []
            for _ in range(1_500):
                connection.request("GET", "/v1/me")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            self.assertGreater(statuses.count(429), 100)
            self.assertEqual(statuses[:300], [503] * 300)
        finally:
            nginx.stop()


if __name__ == "__main__":
    unittest.main()
