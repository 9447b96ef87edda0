"""Ground truth for what the probe says: makes connections and asks the agent about them.

see.py serve PORT             answers nothing, closes what the other side closes
see.py call PORT COUNT        so many connections of one byte each, one after the other
see.py latency PORT           a connection appears and goes: prints both times in ms
see.py container NAME         prints ms from `docker run` having returned (or less) to the API

SEE_API names whom it asks: the agent's socket, or HOST:PORT of Weave Scope's app, which benches compare with.
"""
import glob
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

API = os.environ.get("SEE_API", "/run/weft/weft.sock")
IS_SCOPE = not API.startswith("/")
# Scope shows what has ended for its window of 15 s and more, and asking it oftener would slow what it does.
DEADLINE, PAUSE = (60, 0.05) if IS_SCOPE else (20, 0.005)


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(API)


def get(path):
    connection = http.client.HTTPConnection(API) if IS_SCOPE else UnixConnection("weft")
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def nodes(topology):
    return get(f"/api/topology/{topology}")[1]["nodes"]


def server_process(port):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                if file.read().endswith(f"see.py\0serve\0{port}\0".encode()):
                    return path.split("/")[2]
        except OSError:
            pass  # It has ended.
    sys.exit("nobody serves")


# Scope's edges have no ports in their views, so it is the server's process that tells.
def scope_has_edge(port):
    server = ";" + server_process(port)
    return any(
        neighbour.endswith(server) and not node["id"].endswith(server)
        for node in nodes("processes").values()
        for neighbour in node.get("adjacency") or []
    )


def has_edge(port):
    if IS_SCOPE:
        return scope_has_edge(port)
    wanted = f"{port}/tcp"
    return any(
        wanted in edge["ports"] and edge["connections"] > 0
        for node in nodes("processes").values()
        for edge in node.get("edges", {}).values()
    )


def wait(condition):
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > DEADLINE:
            sys.exit(f"not within {DEADLINE} s")
        time.sleep(PAUSE)
    return round((time.monotonic() - started) * 1000)


def serve(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print("serving", flush=True)

    def drain(connection):
        while connection.recv(64):
            pass
        connection.close()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=drain, args=(connection,), daemon=True).start()


def call(port, count):
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"x")
    # Its connections are this process's as long as it lives.
    print("called", flush=True)
    time.sleep(5)


def latency(port):
    wait(lambda: not has_edge(port))
    connection = socket.create_connection(("127.0.0.1", port))
    appeared = wait(lambda: has_edge(port))
    time.sleep(1.5)
    connection.close()
    print(appeared, wait(lambda: not has_edge(port)))


def container(name):
    nodes("containers")
    time.sleep(2)
    runner = subprocess.Popen(["docker", "run", "-d", "--rm", "--name", name, "busybox", "sleep", "100"], stdout=subprocess.DEVNULL)
    state = ["docker", "inspect", "-f", "{{.State.Running}}", name]
    while subprocess.run(state, capture_output=True, text=True).stdout.strip() != "true":
        time.sleep(0.005)
    print(wait(lambda: any(node["label"] == name for node in nodes("containers").values())))
    runner.wait()


def main():
    act = {"serve": serve, "call": call, "latency": latency}.get(sys.argv[1])
    if act:
        act(*map(int, sys.argv[2:]))
    else:
        container(sys.argv[2])


if __name__ == "__main__":
    main()
