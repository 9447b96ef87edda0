"""What `./run bench control` measures: how each contender is started, and how it is asked what it knows.

Every contender runs on the hosts of a lab and answers HTTP on a Unix socket of its host, so that asking
sends nothing over the network that is measured.
"""
import json
import os
import re
import socket
import subprocess
import sys


PATH = "PATH=/run/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOG_LINES = 15  # Of a peer that does not get there.


class Host:
    """A host of the lab, seen from outside through the first process of its namespaces."""

    def __init__(self, lab_dir, name):
        with open(f"{lab_dir}/boxes/{name}/init", encoding="ascii") as record:
            self.init = record.read().split()[0]
        self.name = name
        self.number = int(name[1:]) if name[1:].isdigit() else 0
        self.address = f"198.18.0.{self.number}"

    def path(self, path):
        return f"/proc/{self.init}/root{path}"

    def inside(self, *command):
        return ["nsenter", "-t", self.init, "-m", "-u", "-i", "-n", "-p", "--", "env", PATH, *command]

    def run(self, *command):
        subprocess.run(self.inside(*command), check=False, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def spawn(self, *command):
        with open(self.path("/var/log/bench.log"), "wb") as log:
            return subprocess.Popen(self.inside(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def show_log(self):
        with open(self.path("/var/log/bench.log"), encoding="utf-8", errors="replace") as log:
            print("".join(log.readlines()[-LOG_LINES:]), file=sys.stderr)


def ask(path, method, target, body="", seconds=10.0):
    """The body of a 200 answer, else OSError: the asker tries again or gives up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        if body:
            head += "Content-Type: application/x-www-form-urlencoded\r\n"
        connection.sendall(f"{head}\r\n{body}".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] not in ([b"200"], [b"204"]):
        raise OSError(f"{target}: {answer[:200]!r}")
    return rest


class Weft:
    """The real agent with its data path and its Docker plugin, as `weft launch` runs it."""

    name = "weft"
    allocates = True
    peers_max = 250

    def command(self, host, peers):
        return ["weft", "agent", "--nickname", host.name, *(peer.address for peer in peers)]

    def control(self, host):
        return host.path("/run/weft/weft.sock")

    def is_ready(self, host):
        return bool(ask(self.control(host), "GET", "/ready"))

    def peer_count(self, host):
        return json.loads(ask(self.control(host), "GET", "/ready"))["peers_reachable"] + 1

    def plugin(self, host, call, **body):
        return json.loads(ask(host.path("/run/docker/plugins/weft.sock"), "POST", call, json.dumps(body), 60.0))

    def allocate(self, host):
        pool = self.plugin(host, "/IpamDriver.RequestPool", AddressSpace="weftlocal", Pool="", SubPool="",
                           Options={}, V6=False)
        return self.plugin(host, "/IpamDriver.RequestAddress", PoolID=pool["PoolID"], Address="",
                           Options={})["Address"]

    def publish(self, host, number):
        """Attaches an endpoint, as Docker would; every peer must learn where it is."""
        network = "b" * 64
        if number == 0:
            self.plugin(host, "/NetworkDriver.CreateNetwork", NetworkID=network, Options={},
                        IPv4Data=[{"AddressSpace": "weftlocal", "Pool": "10.77.0.0/16",
                                   "Gateway": "10.77.0.0/16"}], IPv6Data=[])
        self.plugin(host, "/NetworkDriver.CreateEndpoint", NetworkID=network, EndpointID=f"{number:x}" * 64,
                    Interface={"Address": f"10.77.{host.number}.{number + 1}/16", "AddressIPv6": "",
                               "MacAddress": ""}, Options={})

    def knows(self, host, number):
        status = json.loads(ask(self.control(host), "GET", "/status"))
        return status["datapath"]["endpoints_remote"] == number + 1

    def clean(self, host):
        host.run("weft", "reset")


class Memberlist:
    """hashicorp/memberlist with its settings for a local network (bench/control/member)."""

    name = "memberlist"
    allocates = False
    peers_max = 250

    def __init__(self, program):
        self.program = program

    def command(self, host, peers):
        return [self.program, "-name", host.name, "-address", host.address, "-socket", "/run/member.sock",
                *(peer.address for peer in peers)]

    def control(self, host):
        return host.path("/run/member.sock")

    def is_ready(self, host):
        return self.peer_count(host) > 0

    def peer_count(self, host):
        return int(ask(self.control(host), "GET", "/members"))

    def publish(self, host, number):
        ask(self.control(host), "POST", "/meta", f"record {number}")

    def knows(self, host, number):
        return f"record {number}".encode() in ask(self.control(host), "GET", "/meta")

    def clean(self, host):
        host.run("rm", "-f", "/run/member.sock")


class Weave:
    """Weave Net's router, in whatever version the program that WEFT_BENCH_WEAVER names is."""

    name = "weave"
    allocates = True
    # Every pair holds a connection: at a hundred, 4,950 of them keep two cores busy for minutes.
    peers_max = 50

    def __init__(self, program):
        self.program = program

    def command(self, host, peers):
        return ["env", "-C", "/var/lib", "CHECKPOINT_DISABLE=1", self.program, "--host", host.address, "--nickname", host.name,
                "--name", f"02:00:00:00:00:{host.number:02x}", "--no-fastdp", "--docker-api", "", "--token", "",
                "--dns-listen-address", "127.0.0.1:5300", "--resolv-conf", "/dev/null",
                "--ipalloc-range", "10.32.0.0/12", "--db-prefix", "/var/lib/weave-", "--host-root", "/run",
                "--http-addr", "/run/weave.sock", *(peer.address for peer in peers)]

    def control(self, host):
        return host.path("/run/weave.sock")

    def is_ready(self, host):
        return self.peer_count(host) > 0

    def peer_count(self, host):
        count = re.search(rb"\sPeers: (\d+)", ask(self.control(host), "GET", "/status"))
        return int(count.group(1)) if count else 0

    def allocate(self, host):
        return ask(self.control(host), "POST", f"/ip/bench{host.number}", seconds=60.0).decode()

    def publish(self, host, number):
        ask(self.control(host), "PUT", f"/name/bench{number}/10.77.0.{number + 1}",
            f"fqdn=record{number}.weave.local")

    def knows(self, host, number):
        return re.search(rf"record{number}\b".encode(), ask(self.control(host), "GET", "/status/dns")) is not None

    def clean(self, host):
        host.run("sh", "-c", "rm -f /run/weave.sock /var/lib/weave-* /var/lib/restart.sentinel; ip link delete vethwe-bridge;"
                             "ip link delete weave; iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X")


def contenders():
    """Those that are there. What is missing is said by the caller."""
    found = [Weft()]
    if os.environ.get("BENCH_MEMBER"):
        found.append(Memberlist(os.environ["BENCH_MEMBER"]))
    if os.environ.get("WEFT_BENCH_WEAVER"):
        found.append(Weave(os.environ["WEFT_BENCH_WEAVER"]))
    wanted = os.environ.get("WEFT_BENCH_CONTENDERS", "weft memberlist weave").split()
    return [contender for contender in found if contender.name in wanted]
