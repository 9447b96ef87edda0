"""Holds what an agent answers to docs/openapi-ui.yaml: openapi.py DOCUMENT

Asks every GET below /api, with every topology and several nodes of each, and fails if an answer has a
field that the document does not, or one of another type. SEE_API is the agent's socket (see.py).
"""
import sys
import urllib.parse

import yaml

import see

NODES_EACH = 20
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


class Document:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.root = yaml.safe_load(file)
        self.findings = set()

    def resolved(self, item):
        while "$ref" in item:
            found = self.root
            for part in item["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            item = found
        if "allOf" not in item:
            return item
        merged = {"type": "object", "properties": {}}
        for part in item["allOf"]:
            merged["properties"].update(self.resolved(part).get("properties", {}))
        return merged

    def check(self, schema, value, where):
        schema = self.resolved(schema)
        if value is None and schema.get("nullable"):
            return
        kind = schema.get("type")
        if kind is None:
            return  # Anything.
        is_flag = isinstance(value, bool)
        if not isinstance(value, TYPES[kind]) or (is_flag and kind != "boolean"):
            self.findings.add(f"{where}: {type(value).__name__}, documented as {kind}")
        elif "enum" in schema and value not in schema["enum"]:
            self.findings.add(f"{where}: {value!r} is none of {schema['enum']}")
        elif kind == "object":
            self.check_object(schema, value, where)
        elif kind == "array":
            for item in value:
                self.check(schema["items"], item, where + "[]")

    def check_object(self, schema, value, where):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        if not known and others is None:
            self.findings.add(f"{where}: an object of which nothing is documented")
        for name, item in value.items():
            if name in known:
                self.check(known[name], item, f"{where}.{name}")
            elif others is not None:
                self.check(others, item, f"{where}.*")
            else:
                self.findings.add(f"{where}.{name}: not documented")

    def ask(self, template, query=None, **parts):
        path = template.format(**{name: urllib.parse.quote(part, safe="") for name, part in parts.items()})
        status, body = see.get(path + ("?" + urllib.parse.urlencode(query) if query else ""))
        responses = self.root["paths"][template]["get"]["responses"]
        # A refusal has the one form of errors; a node may have gone since it was listed.
        named = self.resolved(responses.get(str(status), {}))
        answer = named if "content" in named else self.resolved(responses["default"])
        self.check(answer["content"]["application/json"]["schema"], body, f"{template} {status}")
        return status, body


def ask_reach(document, views):
    """From a container, a host and a process to each of them, then what is no question."""
    nodes = [next(iter(views[name]), None) for name in ("containers", "hosts", "processes")]
    assert all(nodes), nodes
    for start in nodes:
        for end in nodes:
            status, _ = document.ask("/api/reach", {"from": start, "to": end})
            assert status == 200, (start, end, status)
    for query, expected in (
        ({}, 400),
        ({"from": nodes[0]}, 400),
        ({"from": nodes[0], "to": ""}, 400),
        ({"from": nodes[0], "to": "nobody"}, 404),
        ({"from": b"\xff\x00;<container>", "to": nodes[0]}, 404),
        ({"from": "x" * 3000, "to": nodes[0]}, 404),
    ):
        status, _ = document.ask("/api/reach", query)
        assert status == expected, (query, status)


def main():
    document = Document(sys.argv[1])
    asked = 0
    for path in ("/api", "/api/probes", "/api/report"):
        status, _ = document.ask(path)
        assert status == 200, (path, status)
    _, menu = document.ask("/api/topology")
    views = menu + [below for topology in menu for below in topology.get("sub_topologies", [])]
    nodes = {}
    for name in [topology["url"].rsplit("/", 1)[1] for topology in views]:
        _, view = document.ask("/api/topology/{topology}", topology=name)
        nodes[name] = [node for node, facts in view["nodes"].items() if not facts.get("pseudo")]
        for node in list(view["nodes"])[:NODES_EACH]:
            document.ask("/api/topology/{topology}/{node}", topology=name, node=node)
            asked += 1
    ask_reach(document, nodes)
    for status, body in (see.get("/api/nonsense"), see.get("/api/topology/nonsense")):
        assert status == 404, status
        document.check(document.root["components"]["responses"]["Error"]["content"]["application/json"]["schema"], body, "an error")
    assert asked > 0, "no node to ask about"
    for finding in sorted(document.findings):
        print(finding)
    print(f"{len(views)} topologies, {asked} nodes, {len(document.findings)} findings")
    sys.exit(bool(document.findings))


main()
