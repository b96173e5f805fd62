#!/usr/bin/env python3
"""load.py URL KEY SECONDS [RATE]: steady requests through nginx, half of them writes, and what became of them (JSON).

Nothing is tried again: a connection that breaks is a failure."""
import collections
import http.client
import json
import ssl
import sys
import threading
import time
import urllib.parse
import uuid

WORKERS = 6
PER_CONNECTION = 25


def event(key):
    body = {"title": "Load", "local_start": "2031-06-12T18:00:00", "time_zone": "Europe/Lisbon", "duration_minutes": 60}
    return "POST", "/v1/events", json.dumps(body), {"Content-Type": "application/json", "Idempotency-Key": key}


def work(address, key, until, pause, told, latencies):
    context = ssl._create_unverified_context()
    connection, sent = None, 0
    while time.monotonic() < until:
        started = time.monotonic()
        if connection is None or sent % PER_CONNECTION == 0:
            if connection:
                connection.close()
            connection = http.client.HTTPSConnection(address, timeout=25, context=context)
        sent += 1
        method, path, body, headers = event(str(uuid.uuid4())) if sent % 2 else ("GET", "/v1/venues?limit=5", None, {})
        try:
            connection.request(method, path, body, {**headers, "Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            answer.read()
            outcome = f"{method} {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            outcome = f"{method} {type(error).__name__}"
            connection = None
        told[outcome] += 1
        latencies.append(time.monotonic() - started)
        time.sleep(max(0, pause - (time.monotonic() - started)))


def main():
    address = urllib.parse.urlsplit(sys.argv[1]).netloc
    key, seconds = sys.argv[2], float(sys.argv[3])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 60
    told, latencies = collections.Counter(), []
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(address, key, until, WORKERS / rate, told, latencies)) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies.sort()
    failed = sum(count for outcome, count in told.items() if not outcome.endswith((" 200", " 201")))
    print(json.dumps({
        "requests": len(latencies), "failed": failed, "outcomes": dict(told),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1), "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 1),
        "max_ms": round(latencies[-1] * 1000, 1)}))


main()
