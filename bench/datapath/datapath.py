#!/usr/bin/env python3
"""Measures data paths between two hosts of a lab; bench/datapath/run.sh calls it.

    datapath.py LAB-DIRECTORY PACKET-LOAD OUT-DIRECTORY

Modes: `split` gives each host a CPU of its own; `one` puts everything on one CPU and bounds TCP's window,
the most repeatable; `wire` is split with segments cut to the MTU before they cross, as by a network card
without offloads. In every round each contender is started anew, in a random order, and goes through all
modes before the next has its turn. Figures of each go to OUT-DIRECTORY/samples.json.
"""
import json
import math
import os
import random
import subprocess
import sys
import time

from contenders import ALL
from hosts import UNDERLAY, Host, busy_seconds, progress, wait_for
import report

PORT = 7000
# Bytes under way stay in the second-level cache, so that runs do not fall into one of two states
# (megabytes queued in memory, or not).
WINDOW = "512K"
LOADED_SECONDS_BEFORE = 0.5
CLOSE_SECONDS = 0.3


def setting(name, default):
    return os.environ.get(f"WEFT_BENCH_{name}", default)


SECONDS = float(setting("SECONDS", "2"))
ROUNDS = int(setting("ROUNDS", "3"))
MODES = setting("MODES", "one split wire").split()
MTUS = [int(mtu) for mtu in setting("MTUS", "1500 9000").split()]
MEASURES = setting("MEASURES", "tcp1 tcp4 udp64 udp1300 rtt loaded").split()
CONTENDERS = setting("CONTENDERS", " ".join(contender.name for contender in ALL)).split()
# With jumbo frames the difference is in the bulk; one mode shows it.
JUMBO_MODES = ["split"]


class Bench:
    def __init__(self, lab_directory, packet_load):
        self.hosts = [Host(lab_directory, 1), Host(lab_directory, 2)]
        self.packet_load = packet_load
        self.samples = {}
        self.contender = None

    def connect(self, mtu):
        """The wire: one veth pair, of the hosts alone."""
        near, far = self.hosts
        near.attempt("ip", "link", "delete", UNDERLAY)
        # From outside, where both hosts' process ids mean something.
        subprocess.run(["nsenter", "-t", near.init, "-n", "ip", "link", "add", UNDERLAY, "mtu", str(mtu), "type", "veth",
                        "peer", "name", UNDERLAY, "mtu", str(mtu), "netns", far.init], check=True)
        for host in self.hosts:
            host.ip(f"addr add {host.address}/24 dev {UNDERLAY}\nlink set {UNDERLAY} up")

    def set_mode(self, mode):
        one = os.cpu_count() - 1
        for host in self.hosts:
            host.pin(one if mode == "one" else host.number - 1)
            state = "off" if mode == "wire" else "on"
            host.attempt("ethtool", "-K", UNDERLAY, "tso", state, "gso", state, "tx-udp-segmentation", state,
                         "tx-udp_tnl-segmentation", state, "tx-udp_tnl-csum-segmentation", state)
            host.attempt("ethtool", "-K", UNDERLAY, "gro", "off")
        self.cpus = [one] if mode == "one" else [0, 1]
        self.window = ("-w", WINDOW) if mode == "one" else ()

    def near(self, *command):
        return self.hosts[0].run(*command, net=self.contender.net(self.hosts[0]))

    def serve(self):
        """What the far end runs while one mode is measured."""
        for host in self.hosts:
            # iperf3 asks for cubic on a connection that is there already, and one that began with BBR, a machine's
            # default, goes on being paced by a timer per segment.
            host.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno", net=self.contender.net(host))
        far = self.hosts[1]
        net = self.contender.net(far)
        return [far.start("iperf3", "-s", net=net, counts=False),
                far.start(self.packet_load, "serve", str(PORT), net=net, counts=False)]

    def iperf(self, streams, seconds):
        return ("iperf3", "-J", "-C", "cubic", "-t", str(math.ceil(seconds)), "-P", str(streams), *self.window,
                "-c", self.contender.address(self.hosts[1]))

    def tcp(self, streams):
        before = busy_seconds(self.cpus)
        end = json.loads(self.near(*self.iperf(streams, SECONDS)))["end"]
        busy = busy_seconds(self.cpus) - before
        time.sleep(CLOSE_SECONDS)
        received = end["sum_received"]
        figures = {f"tcp{streams}": received["bits_per_second"] / 1e9}
        if streams == 1:
            figures["cpu_per_gb"] = busy / (received["bytes"] / 1e9)
            figures["retransmits"] = end["sum_sent"]["retransmits"]
        return figures

    def tool(self, what, *arguments):
        address = self.contender.address(self.hosts[1])
        words = self.near(self.packet_load, what, address, str(PORT), *arguments).split()
        return dict(zip(words[::2], (float(word) for word in words[1::2])))

    def udp(self, size):
        before = busy_seconds(self.cpus)
        heard = self.tool("blast", str(size), f"{min(SECONDS, 1.5):g}")
        busy = busy_seconds(self.cpus) - before
        received = max(heard["received"], 1)
        return {f"udp{size}": received / heard["seconds"] / 1e3,
                f"loss{size}": 100 * (1 - received / max(heard["sent"], 1)),
                f"cpu_per_packet{size}": busy / received * 1e9}

    def rtt(self):
        heard = self.tool("echo", f"{SECONDS:g}")
        return {"rtt_p50": heard["p50_us"], "rtt_p99": heard["p99_us"]}

    def loaded(self):
        """Round trips beside one bulk stream."""
        near = self.hosts[0]
        stream = near.start(*self.iperf(1, SECONDS + 2 * LOADED_SECONDS_BEFORE),
                            net=self.contender.net(near), counts=False)
        time.sleep(LOADED_SECONDS_BEFORE)
        heard = self.tool("echo", f"{SECONDS:g}")
        stream.wait()
        time.sleep(CLOSE_SECONDS)
        return {"loaded_p50": heard["p50_us"], "loaded_p99": heard["p99_us"]}

    def measure(self, measure):
        takers = {"tcp1": lambda: self.tcp(1), "tcp4": lambda: self.tcp(4), "udp64": lambda: self.udp(64),
                  "udp1300": lambda: self.udp(1300), "rtt": self.rtt, "loaded": self.loaded}
        return takers[measure]()

    def go_through(self, mode, mtu):
        self.set_mode(mode)
        servers = self.serve()
        try:
            # Whatever is to be learnt or agreed upon is learnt by these.
            address = self.contender.address(self.hosts[1])
            wait_for(f"{self.contender.name} carries packets", 30, lambda: self.can_ping(address))
            for measure in MEASURES:
                for name, value in self.measure(measure).items():
                    self.note(mode, mtu, name, value)
            if self.hosts[0].daemons:
                self.note(mode, mtu, "resident", self.hosts[0].resident_megabytes())
        finally:
            for server in servers:
                server.stop()

    def can_ping(self, address):
        try:
            return self.near("ping", "-c", "3", "-i", "0.2", "-W", "1", address)
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def note(self, mode, mtu, measure, value):
        key = f"{self.contender.name} {mode} {mtu} {measure}"
        self.samples.setdefault(key, []).append(value)

    def turn(self, contender, mtu):
        self.contender = contender
        self.connect(mtu)
        for host in self.hosts:
            host.cpu = host.number - 1
            host.write("/var/log/bench.log", "")
        try:
            contender.start(self.hosts, mtu)
            for mode in MODES if mtu == 1500 else [mode for mode in MODES if mode in JUMBO_MODES]:
                self.go_through(mode, mtu)
        except (RuntimeError, OSError, subprocess.SubprocessError, ValueError) as error:
            progress(f"{contender.name} at MTU {mtu}: {error}")
            for host in self.hosts:
                host.show_log()
        finally:
            contender.stop(self.hosts)


def main():
    lab_directory, packet_load, out = sys.argv[1:4]
    contenders = [contender for contender in ALL if contender.name in CONTENDERS]
    for contender in list(contenders):
        why = contender.missing()
        if why:
            progress(f"{contender.name} is not measured: {why}")
            contenders.remove(contender)
        elif contender.version():
            progress(f"{contender.name}: {contender.version()}")
    bench = Bench(lab_directory, packet_load)
    chance = random.Random(1)
    for number in range(1, ROUNDS + 1):
        for mtu in MTUS:
            chance.shuffle(contenders)
            for contender in contenders:
                progress(f"round {number} of {ROUNDS}, MTU {mtu}: {contender.name}")
                bench.turn(contender, mtu)
    with open(f"{out}/samples.json", "w", encoding="ascii") as file:
        json.dump(bench.samples, file, indent=1)
    report.write(bench.samples, out)


if __name__ == "__main__":
    main()
