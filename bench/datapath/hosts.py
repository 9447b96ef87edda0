"""The two hosts of the bench: namespaces of a lab, a veth pair `u0` between them, programs pinned to CPUs."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

PATH = "PATH=/run/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNDERLAY = "u0"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# What weft's containers and the others' stand-ins for containers are called.
CONTAINER = "c"


def progress(text):
    print(f"bench datapath: {text}", file=sys.stderr, flush=True)


def wait_for(what, seconds, condition):
    """The first result of `condition` that is true; an OSError is as good as False."""
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        try:
            result = condition()
            if result:
                return result
        except (OSError, ValueError, KeyError) as error:
            last = f" ({error})"
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}{last}")
        time.sleep(0.05)


class Host:
    """A host of the lab, seen from outside."""

    def __init__(self, lab_directory, number):
        self.number = number
        self.name = f"h{number}"
        self.address = f"198.19.0.{number}"
        self.inner = f"10.32.77.{number}"
        with open(f"{lab_directory}/boxes/{self.name}/init", encoding="ascii") as record:
            self.init = record.read().split()[0]
        self.cpu = 0
        self.daemons = []

    def path(self, path):
        return f"/proc/{self.init}/root{path}"

    def command(self, *command, net=None):
        enter = ["nsenter", "-t", self.init, "-m", "-u", "-i", "-n", "-p", "--", "env", PATH]
        inner = ["nsenter", f"--net=/run/netns/{net}"] if net else []
        return [*enter, *inner, "taskset", "-c", str(self.cpu), *command]

    def run(self, *command, net=None, given=None):
        """Its output; raises if it fails."""
        done = subprocess.run(self.command(*command, net=net), input=given, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stdout.strip()[-400:]}")
        return done.stdout

    def attempt(self, *command):
        subprocess.run(self.command(*command), check=False, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ip(self, text):
        """A batch of ip(8)."""
        self.run("ip", "-batch", "-", given=text)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def start(self, *command, net=None, counts=True):
        """Starts a program of the contender's, or (counts=False) of the bench's own."""
        with open(self.path("/var/log/bench.log"), "ab") as log:
            daemon = Daemon(self.command(*command, net=net), log)
        if counts:
            self.daemons.append(daemon)
        return daemon

    def stop_daemons(self):
        for daemon in self.daemons:
            daemon.stop()
        self.daemons = []

    def pin(self, cpu):
        """Everything of this host onto one CPU, the receiving of its underlay device included."""
        self.cpu = cpu
        self.run("sh", "-c", f"echo {1 << cpu:x} >/sys/class/net/{UNDERLAY}/queues/rx-0/rps_cpus")
        for daemon in self.daemons:
            subprocess.run(["taskset", "-acp", str(cpu), str(daemon.pid)], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def resident_megabytes(self):
        total = 0.0
        for daemon in self.daemons:
            with open(f"/proc/{daemon.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) / 1024
        return total

    def show_log(self):
        with open(self.path("/var/log/bench.log"), encoding="utf-8", errors="replace") as log:
            print("".join(log.readlines()[-6:]), file=sys.stderr)

    def ask(self, path, method, target, body=""):
        """The body of a 200 answer on a Unix socket of this host, else OSError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.path(path))
            head = (f"{method} {target} HTTP/1.1\r\nHost: weft\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
            connection.sendall(head.encode() + body.encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
        head, _, rest = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise OSError(f"{target}: {answer[:200]!r}")
        return rest

    def ask_json(self, path, method, target, body=None):
        rest = self.ask(path, method, target, "" if body is None else json.dumps(body))
        return json.loads(rest[rest.index(b"{"):rest.rindex(b"}") + 1])

    def plug_container(self, bridge, mtu):
        """A namespace with an address, its veth pair's other end on a bridge."""
        self.ip(f"""netns add {CONTAINER}
link add kport mtu {mtu} type veth peer name eth0 mtu {mtu} netns {CONTAINER}
link set kport master {bridge} up""")
        self.run("ip", "addr", "add", f"{self.inner}/24", "dev", "eth0", net=CONTAINER)
        self.run("ip", "link", "set", "eth0", "up", net=CONTAINER)


class Daemon:
    """A program that runs until it is stopped."""

    def __init__(self, command, log):
        self.nsenter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # nsenter's only child becomes env, taskset and then the program.
        self.pid = wait_for("a program has started", 5, self.child)

    def child(self):
        nsenter = self.nsenter.pid
        with open(f"/proc/{nsenter}/task/{nsenter}/children", encoding="ascii") as children:
            return int(children.read())

    def wait(self):
        self.nsenter.wait()

    def stop(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.nsenter.poll() is None:
                os.kill(self.child(), how)
                try:
                    self.nsenter.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    pass


def busy_seconds(cpus):
    """User, system and interrupt time of the CPUs so far; niced time is not the contender's."""
    total = 0
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            name, *ticks = line.split()
            if name in [f"cpu{cpu}" for cpu in cpus]:
                user, _, system, _, _, interrupt, softirq = (int(tick) for tick in ticks[:7])
                total += user + system + interrupt + softirq
    return total / TICKS_PER_SECOND
