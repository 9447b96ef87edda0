"""Ground truth for what the probe says: makes connections and asks the agent about them.

see.py serve PORT             answers nothing, closes what the other side closes
see.py call PORT COUNT        so many connections of one byte each, one after the other
see.py latency PORT           a connection appears and goes: prints both times in ms
see.py container NAME         prints ms from `docker run` having returned (or less) to the API
"""
import http.client
import json
import socket
import subprocess
import sys
import threading
import time

AGENT = "/run/weft/weft.sock"
DEADLINE = 10


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(AGENT)


def nodes(topology):
    connection = UnixConnection("weft")
    connection.request("GET", f"/api/topology/{topology}")
    body = connection.getresponse().read()
    connection.close()
    return json.loads(body)["nodes"]


def has_edge(port):
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
            sys.exit("not within 10 s")
        time.sleep(0.005)
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


main()
