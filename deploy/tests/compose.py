"""Reads compose files as Compose merges them, as far as ours need it: anchors, variables, `!reset`, `!override`."""
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEVELOPMENT = ["docker-compose.yml"]
PRODUCTION = ["docker-compose.yml", "docker-compose.prod.yml"]
# Lists that a later file adds to; by what two entries count as one.
KEYED = {"volumes": lambda volume: volume.split(":")[1], "env_file": str, "ports": str, "secrets": str, "profiles": str}


class Loader(yaml.SafeLoader):
    pass


class Reset:
    pass


class Override:
    def __init__(self, value):
        self.value = value


def construct(loader, node):
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True)


Loader.add_constructor("!reset", lambda loader, node: Reset())
Loader.add_constructor("!override", lambda loader, node: Override(construct(loader, node)))


def load(names, environment=None):
    """The merged files. Variables without a default must be in `environment`."""
    merged = {}
    for name in names:
        merged = merge(merged, interpolate(yaml.load((ROOT / name).read_text(), Loader), environment or {}))
    services = {name: service for name, service in merged["services"].items() if not service.get("profiles")}
    return {**merged, "services": services}


def merge(old, new, key=None):
    if isinstance(new, Reset):
        return None
    if isinstance(new, Override):
        return new.value
    if isinstance(old, dict) and isinstance(new, dict):
        both = {name: merge(old.get(name), value, name) for name, value in new.items()}
        return {name: value for name, value in {**old, **both}.items() if not (value is None and isinstance(new.get(name), Reset))}
    if isinstance(old, list) and isinstance(new, list) and key in KEYED:
        return list(({KEYED[key](entry): entry for entry in old} | {KEYED[key](entry): entry for entry in new}).values())
    return new


VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])((?:[^{}]|\$\{[^}]*\})*))?\}")


def variables(names):
    """Every variable that the files ask for."""
    found = set()
    for name in names:
        rest = (ROOT / name).read_text()
        while match := VARIABLE.search(rest):
            found.add(match[1])
            rest = rest[: match.start()] + (match[3] or "") + rest[match.end():]
    return found


def interpolate(thing, environment):
    if isinstance(thing, Override):
        return Override(interpolate(thing.value, environment))
    if isinstance(thing, dict):
        return {key: interpolate(value, environment) for key, value in thing.items()}
    if isinstance(thing, list):
        return [interpolate(value, environment) for value in thing]
    while isinstance(thing, str) and (match := VARIABLE.search(thing)):
        if match[1] not in environment and match[2] != "-":
            raise KeyError(match[1])
        thing = thing[: match.start()] + environment.get(match[1], match[3] or "") + thing[match.end():]
    return thing
