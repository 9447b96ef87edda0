#!/usr/bin/env python3
"""A small Kubernetes API server for tests: list and watch of pods, namespaces and network policies,
as the real one answers them, and the ways in which it fails.

    kube_api.py --listen ADDRESS:PORT --state DIR [--cert FILE --key FILE] [--token TEXT]

The objects are whatever JSON or YAML manifests (one document a file) lie in DIR/objects; a file that
is new, changed or removed is an event. The server adds what the real one adds: uid, resourceVersion,
creationTimestamp, managedFields. Real here: the shapes of lists, watch events, bookmarks and Status
objects, pages by limit and continue, watches that begin at a resourceVersion, 410 for those that are
too old, 401 without the token, chunked streams. Not here: everything else; there is no validation and
no defaulting, so manifests say what the API server would have filled in.

Files in DIR/faults make it fail, while they are there:
    refuse     every request is answered with 503
    cut        watches end in the middle of a line, the next time there is an event
    slow       every answer is sent in pieces of 7 octets
    expire     (removed once done) what happened so far is forgotten: watches get an ERROR event of code 410
    rotate     (removed once done) the token from now on is the file's content
"""
import argparse
import datetime
import json
import os
import ssl
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

RESOURCES = {
    "/api/v1/pods": ("v1", "Pod"),
    "/api/v1/namespaces": ("v1", "Namespace"),
    "/apis/networking.k8s.io/v1/networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy"),
}


def status(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code}


class Store:
    """What there is, and what happened, in order."""

    def __init__(self, folder):
        self.folder = folder
        self.changed = threading.Condition()
        self.version = 1000
        self.oldest = 1000  # Watches may begin there and later.
        self.generation = 0  # Counts how often the past was forgotten.
        self.objects = {}  # Path of the file -> object.
        self.stamps = {}
        self.events = []  # (version, type, object)
        self.pages = {}

    def fault(self, name):
        return os.path.exists(os.path.join(self.folder, "faults", name))

    def take_fault(self, name):
        """The fault's content, if it is there; it is removed."""
        path = os.path.join(self.folder, "faults", name)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            os.remove(path)
            return text
        except FileNotFoundError:
            return None

    def dress(self, thing, known):
        self.version += 1
        meta = thing.setdefault("metadata", {})
        meta["uid"] = known["metadata"]["uid"] if known else str(uuid.uuid4())
        meta["resourceVersion"] = str(self.version)
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta["creationTimestamp"] = known["metadata"]["creationTimestamp"] if known else now
        meta["managedFields"] = [{"manager": "kubectl", "operation": "Update", "apiVersion": thing["apiVersion"],
                                  "time": now, "fieldsType": "FieldsV1",
                                  "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}}]
        return thing

    def record(self, kind, thing):
        self.events.append((self.version, kind, json.loads(json.dumps(thing))))

    def look(self):
        """Reads the folder once; True if anything happened."""
        folder = os.path.join(self.folder, "objects")
        seen, happened = set(), False
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name.startswith("."):
                continue
            try:
                stat = os.stat(path)
                stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                seen.add(path)
                if self.stamps.get(path) == stamp:
                    continue
                with open(path, encoding="utf-8") as file:
                    thing = yaml.safe_load(file)
            except FileNotFoundError:
                continue
            known = self.objects.get(path)
            self.stamps[path] = stamp
            self.objects[path] = self.dress(thing, known)
            self.record("MODIFIED" if known else "ADDED", thing)
            happened = True
        for path in sorted(set(self.objects) - seen):
            thing = self.objects.pop(path)
            self.stamps.pop(path)
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            self.record("DELETED", thing)
            happened = True
        if self.take_fault("expire") is not None:
            self.version += 1
            self.oldest = self.version
            self.events.clear()
            self.generation += 1
            happened = True
        return happened

    def keep_looking(self):
        while True:
            with self.changed:
                if self.look():
                    self.changed.notify_all()
            time.sleep(0.05)

    def of(self, resource):
        return [thing for _, thing in sorted(self.objects.items())
                if (thing["apiVersion"], thing["kind"]) == resource]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def log_request_line(self):
        print(self.path, flush=True)

    def send_slowly(self, data):
        if not self.server.store.fault("slow"):
            self.wfile.write(data)
            return
        for at in range(0, len(data), 7):
            self.wfile.write(data[at:at + 7])
            self.wfile.flush()
            time.sleep(0.0005)

    def answer(self, code, thing):
        body = json.dumps(thing).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.send_slowly(body)

    def chunk(self, data):
        self.send_slowly(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_GET(self):
        self.log_request_line()
        self.close_connection = True
        store = self.server.store
        url = urllib.parse.urlsplit(self.path)
        query = {key: values[-1] for key, values in urllib.parse.parse_qs(url.query).items()}
        token = store.take_fault("rotate")
        if token is not None:
            self.server.token = token.strip()
        if store.fault("refuse"):
            self.answer(503, status(503, "ServiceUnavailable", "the server is going down"))
        elif self.server.token and self.headers.get("Authorization") != "Bearer " + self.server.token:
            self.answer(401, status(401, "Unauthorized", "Unauthorized"))
        elif url.path not in RESOURCES:
            self.answer(404, status(404, "NotFound", "the server could not find the requested resource"))
        elif query.get("watch") in ("1", "true"):
            self.watch(RESOURCES[url.path], query)
        else:
            self.list(RESOURCES[url.path], query)

    def list(self, resource, query):
        store = self.server.store
        with store.changed:
            if "continue" in query:
                page = store.pages.pop(query["continue"], None)
                if page is None:
                    self.answer(410, status(410, "Expired", "The provided continue parameter is too old"))
                    return
                version, things = page
            else:
                version, things = store.version, json.loads(json.dumps(store.of(resource)))
            limit = int(query.get("limit", "0")) or len(things) + 1
            meta = {"resourceVersion": str(version)}
            if len(things) > limit:
                meta["continue"] = str(uuid.uuid4()) + "/+="
                meta["remainingItemCount"] = len(things) - limit
                store.pages[meta["continue"]] = (version, things[limit:])
        api, kind = resource
        items = [{key: value for key, value in thing.items() if key not in ("apiVersion", "kind")}
                 for thing in things[:limit]]
        self.answer(200, {"kind": kind + "List", "apiVersion": api, "metadata": meta, "items": items})

    def watch(self, resource, query):
        store = self.server.store
        at = int(query.get("resourceVersion") or store.version)
        end = time.monotonic() + float(query.get("timeoutSeconds", "300"))
        bookmark = time.monotonic() + 1
        generation = store.generation
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while time.monotonic() < end:
            with store.changed:
                expired = at < store.oldest or generation != store.generation
                events = [event for event in store.events if event[0] > at]
                version = store.version  # Before the wait, in which others may happen.
                if not events and not expired:
                    store.changed.wait(0.2)
            if expired:
                self.say({"type": "ERROR", "object": status(410, "Expired", f"too old resource version: {at}")})
                break
            for number, kind, thing in events:
                at = max(at, number)
                if (thing["apiVersion"], thing["kind"]) == resource:
                    if store.fault("cut"):
                        line = json.dumps({"type": kind, "object": thing}).encode()
                        self.chunk(line[:len(line) // 2])
                        self.connection.close()
                        return
                    self.say({"type": kind, "object": thing})
            if query.get("allowWatchBookmarks") == "true" and time.monotonic() > bookmark and not events:
                bookmark = time.monotonic() + 1
                at = max(at, version)
                api, kind = resource
                self.say({"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": api, "metadata": {
                    "resourceVersion": str(at), "creationTimestamp": None}}})
        self.wfile.write(b"0\r\n\r\n")

    def say(self, event):
        self.chunk(json.dumps(event).encode() + b"\n")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # Clients go when they like.


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    for name in ("objects", "faults"):
        os.makedirs(os.path.join(options.state, name), exist_ok=True)
    address, port = options.listen.rsplit(":", 1)
    server = Server((address, int(port)), Handler)
    server.store = Store(options.state)
    server.token = options.token
    server.store.look()
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.store.keep_looking, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
