#!/usr/bin/env python3
"""panels.py PROMETHEUS: runs the query of every panel and rule, and looks for every metric of others that we use.

A panel must have an answer, and one from its metric: the fallback that stands for "nothing was counted yet" is left out, except
where nothing is counted on a good day. Needs a stack that was used for a minute or two (deploy/try).
"""
import json
import sys
import urllib.parse
import urllib.request

import queries

# What is empty while all is well, or while nobody has asked for it.
QUIET = {
    ("Overview", "Alerts that fire"), ("Overview", "Services that do not answer"), ("Overview", "Time since the last backup"),
    ("API", "Failures by route"), ("Jobs and deliveries", "Received from providers"),
}


def ask(server, path, **parameters):
    with urllib.request.urlopen(f"{server}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
        return json.load(answer)["data"]


def faults(server):
    for board, panel, query in queries.panels():
        if (board, panel) not in QUIET:
            query = queries.FALLBACK.sub("", query)
        try:
            found = ask(server, "query", query=query)["result"]
        except urllib.error.HTTPError as error:
            yield f"{board}, {panel}: {json.load(error)['error']}"
            continue
        if not found:
            yield f"{board}, {panel}: no answer to {query}"
        elif all(entry["value"][1] == "NaN" for entry in found):
            yield f"{board}, {panel}: nothing but NaN from {query}"
    for name, job in queries.exported().items():
        if not ask(server, "query", query=f'{name}{{job="{job}"}}')["result"]:
            yield f"{name} is not exported by {job}"
    for group in ask(server, "rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                yield f"rule {rule['name']}: {rule['lastError']}"
    loaded = {rule["name"] for group in ask(server, "rules")["groups"] for rule in group["rules"]}
    for rule in queries.rules():
        if rule.get("alert", rule.get("record")) not in loaded:
            yield f"rule {rule.get('alert', rule.get('record'))} is not loaded"


if __name__ == "__main__":
    found = list(faults(sys.argv[1]))
    print("\n".join(found) or f"{len(list(queries.panels()))} queries of panels answered")
    sys.exit(bool(found))
