"""What the probe is measured with: load.py live COUNT | short PER_SECOND, until it is ended.

load.py speed COUNT: so many short connections as fast as they go; prints the microseconds of CPU each took.
load.py requests COUNT: the same of HTTP requests for a page of 16 KiB, each over a connection of its own.
load.py accounted COUNT PROBE_WATCH: the microseconds that, by the kernel's account, the programs of the probe take of
each such connection and request while that program watches; the account itself is about half of it."""
import http.client
import http.server
import json
import resource
import socket
import subprocess
import sys
import threading
import time

TICK = 0.02


def serve(listener, keep):
    kept = []
    while True:
        connection, _ = listener.accept()
        if keep:
            kept.append(connection)
        else:
            connection.recv(16)
            connection.close()


def connect(address):
    with socket.create_connection(address) as connection:
        connection.sendall(b"x")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(16384))
        self.end_headers()
        self.wfile.write(b"x" * 16384)

    def log_message(self, *_):
        pass


def request(address):
    connection = http.client.HTTPConnection(*address)
    connection.request("GET", "/")
    assert len(connection.getresponse().read()) == 16384
    connection.close()


def accounted_ns():
    programs = json.loads(subprocess.check_output(["bpftool", "prog", "show", "--json"]))
    return sum(one.get("run_time_ns", 0) for one in programs if one.get("name") in ("weft_state", "weft_connect4"))


def accounted(count, watch, *kinds):
    with open("/proc/sys/kernel/bpf_stats_enabled", "w") as switch:
        switch.write("1")
    with subprocess.Popen([watch], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as watcher:
        for once in kinds:
            watcher.stdin.write("on\n")  # A look, as there is one each second.
            watcher.stdout.readline()
            before = accounted_ns()
            for _ in range(count):
                once()
            print(round((accounted_ns() - before) / count / 1e3, 2), flush=True)
        watcher.stdin.close()
    with open("/proc/sys/kernel/bpf_stats_enabled", "w") as switch:
        switch.write("0")


def speed(count, once):
    for _ in range(count // 10):  # What is slow only at first.
        once()
    before = time.process_time()
    for _ in range(count):
        once()
    print(round((time.process_time() - before) / count * 1e6, 2))


def main():
    kind, number = sys.argv[1], int(sys.argv[2])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if kind in ("requests", "accounted"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if kind == "requests":
        speed(number, lambda: request(server.server_address))
        return
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=serve, args=(listener, kind == "live"), daemon=True).start()
    address = listener.getsockname()
    if kind == "live":
        connections = [socket.create_connection(address) for _ in range(number)]
        print(len(connections), flush=True)
        while True:
            time.sleep(3600)
    if kind == "accounted":
        accounted(number, sys.argv[3], lambda: connect(address), lambda: request(server.server_address))
        return
    if kind == "speed":
        speed(number, lambda: connect(address))
        return
    made = 0
    started = time.monotonic()
    print("started", flush=True)
    while True:
        while made < (time.monotonic() - started) * number:
            connect(address)
            made += 1
        time.sleep(TICK)


main()
