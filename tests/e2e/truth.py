"""Ground truth on one host, beside what the agent says of it; each case makes its own processes.

truth.py hold PORT              a connection that was there before anybody looked; ends with its input
truth.py older PORT             … is shown with its client and its server
truth.py rate PER_SECOND COUNT  so many short connections at that pace are all counted, as one edge
truth.py ports                  a server's port below and above its client's
truth.py pid                    a process that has the number of one that has ended
truth.py octets PORT            what an edge carried, beside what was sent
"""
import os
import signal
import socket
import subprocess
import sys
import time

import see


def edges_of(port):
    """(client's pid, server's pid, what the edge carries) of all edges over a TCP port."""
    found = []
    for node in see.nodes("processes").values():
        for to, edge in node.get("edges", {}).items():
            if f"{port}/tcp" in edge["ports"]:
                found.append((node["id"].split(";")[-1], to.split(";")[-1], edge))
    return found


def wait_for(what, condition):
    deadline = time.monotonic() + see.DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within {see.DEADLINE} s: {what}")
        time.sleep(0.05)


def child(code, *arguments):
    """A Python of its own, once it has said that it is ready."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


SERVER = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
print(listener.getsockname()[1], flush=True)
def drain(connection):
    while connection.recv(65536): pass
    connection.close()
while True:
    connection, _ = listener.accept()
    threading.Thread(target=drain, args=(connection,), daemon=True).start()
"""

# Says 500 octets once it has heard 1,000, and ends.
ANSWERING_SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    left = 1000
    while left: left -= len(connection.recv(left))
    connection.sendall(bytes(500))
    connection.close()
"""

# One after the other, as fast as a Python can.
QUICK_SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
print("serving", flush=True)
while True:
    connection, _ = listener.accept()
    connection.close()
"""

CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), source_address=("127.0.0.1", int(sys.argv[2])))
print("connected", flush=True)
sys.stdin.read()
"""


def hold(port):
    server = child(SERVER, port)
    client = child(CLIENT, port, 0)
    print(client.pid, server.pid, flush=True)
    sys.stdin.read()
    client.kill()
    server.kill()


def older(port):
    client, server = os.environ["HELD"].split()
    wait_for("the connection, with both its ends", lambda: any(edge[:2] == (client, server) for edge in edges_of(port)))


def rate(per_second, count):
    port = 7031
    server = child(QUICK_SERVER, port)
    see.nodes("processes")
    wait_for("the agent looks", lambda: str(server.pid) in {node.split(";")[-1] for node in see.nodes("processes")})
    started = time.monotonic()
    for made in range(count):
        connection = socket.socket()
        connection.connect(("127.0.0.1", port))
        connection.close()
        ahead = (made + 1) / per_second - (time.monotonic() - started)
        if ahead > 0.01:
            time.sleep(ahead)
    took = time.monotonic() - started
    wait_for("all of them", lambda: sum(edge["opened"] for _, _, edge in edges_of(port)) >= count)
    edges = edges_of(port)
    server.kill()
    assert len(edges) == 1, edges
    client, served, edge = edges[0]
    assert (client, served) == (str(os.getpid()), str(server.pid)), edges
    assert edge["opened"] == count, edge
    print(f"{count} connections at {count / took:.0f} per second, all counted")


def ports():
    # Beyond the range that the kernel takes clients' ports from.
    for server_port, client_port in ((7032, 61032), (61033, 7033)):
        server = child(SERVER, server_port)
        client = child(CLIENT, server_port, client_port)
        wanted = (str(client.pid), str(server.pid))
        wait_for(f"from port {client_port} to {server_port}", lambda: any(edge[:2] == wanted for edge in edges_of(server_port)))
        assert not edges_of(client_port), "nobody serves at a client's port"
        client.kill()
        server.kill()


def pid():
    def shown(number):
        return next((node for node in see.nodes("processes").values() if node["id"].endswith(f";{number}")), None)

    port = 7034
    server = child(SERVER, port)
    first = child(CLIENT, port, 0)
    number = first.pid
    wait_for("the first has an edge", lambda: any(edge[0] == str(number) for edge in edges_of(port)))
    first.kill()
    first.wait()
    # Another process of this host may take the number in between.
    for _ in range(50):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(number - 1))
        second = subprocess.Popen(["sleep", "100"])
        if second.pid == number:
            break
        second.kill()
        second.wait()
    assert second.pid == number, "the number could not be had again"
    wait_for("the second under its own name", lambda: (shown(number) or {}).get("label") == "sleep")
    wait_for("without the first's edge", lambda: not any(edge[0] == str(number) and edge[2]["connections"] for edge in edges_of(port)))
    second.kill()
    server.kill()


def octets(port):
    size = 3_000_000
    server = child(SERVER, port)
    see.nodes("processes")
    wait_for("the agent looks", lambda: str(server.pid) in {node.split(";")[-1] for node in see.nodes("processes")})

    def carried():
        with open("/sys/class/net/lo/statistics/tx_bytes", encoding="ascii") as file:
            return int(file.read())

    before = carried()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(bytes(size))
    wait_for("all octets", lambda: sum(edge["sent_total"] for _, _, edge in edges_of(port)) >= size)
    after = carried()
    assert sum(edge["sent_total"] for _, _, edge in edges_of(port)) == size, edges_of(port)
    assert after - before >= size, "the interface carried them, and headers"
    packets = sum(edge["packets_sent"] + edge["packets_received"] for _, _, edge in edges_of(port))
    # No fewer than the largest segments there are, no more than the least ones and a word for each. What the
    # interface counts is fewer: a packet there may be several segments.
    assert size / 65536 <= packets <= 2 * size / 536, packets
    server.kill()
    octets_of_short(port + 1)


def octets_of_short(port):
    """Neither is a FIN taken for an octet, nor is one lost that was shown while its connection was open."""
    count = 2000
    server = child(ANSWERING_SERVER, port)
    wait_for("the agent sees the server", lambda: str(server.pid) in {node.split(";")[-1] for node in see.nodes("processes")})
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(bytes(1000))
            while connection.recv(65536):
                pass
    carried = []

    def is_all():
        carried[:] = [[edge[key] for _, _, edge in edges_of(port)] for key in ("opened", "sent_total", "received_total")]
        return sum(carried[0]) >= count and sum(carried[1]) >= count * 1000 and sum(carried[2]) >= count * 500

    wait_for("all octets of short connections", is_all)
    assert [sum(values) for values in carried] == [count, count * 1000, count * 500], carried
    # The client's SYN, its data and its FIN, what acknowledges, and a few that are sent anew.
    packets = sum(edge["packets_sent"] for _, _, edge in edges_of(port))
    assert 3 * count <= packets <= 10 * count, packets
    server.kill()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    case = {"hold": hold, "older": older, "rate": rate, "ports": ports, "pid": pid, "octets": octets}[sys.argv[1]]
    case(*map(int, sys.argv[2:]))


main()
