#!/usr/bin/env python3
"""Measures control planes on the hosts of a lab; bench/control/run.sh calls it and prints the figures.

    control.py LAB-DIRECTORY SAMPLES-DIRECTORY ROUNDS SIZE…

Contenders take turns. All peers of a cluster are started at once, each told of two others that are drawn
from a fixed seed. Then one host after the other is asked until it knows what it should, so asking costs
one question at a time; the figure is when the last one did. Bytes are those that the kernel counted on
the switch's ports, all headers included.
"""
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from contenders import Host, contenders

SETTLE_SECONDS_MAX = 120.0
NOTICE_SECONDS_MAX = 100.0  # Weave's heartbeat needs 60 s to miss a peer.
QUIET_SECONDS = 3.0         # What starting and settling set off comes to an end.
IDLE_SECONDS = float(os.environ.get("WEFT_BENCH_IDLE", "15"))
RECORDS = 5
POLL_SECONDS = 0.02
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def progress(text):
    print(f"bench control: {text}", file=sys.stderr, flush=True)


class Lab:
    def __init__(self, directory):
        self.directory = directory
        self.switch = Host(directory, "switch")
        with open(f"{directory}/count", encoding="ascii") as count:
            self.hosts = [Host(directory, f"h{number + 1}") for number in range(int(count.read()))]

    def bytes_sent(self, hosts):
        """What each host sent, by the counters of the switch's ports."""
        received = {}
        with open(f"/proc/{self.switch.init}/net/dev", encoding="ascii") as devices:
            for line in devices:
                name, colon, counters = line.partition(":")
                if colon:
                    received[name.strip()] = int(counters.split()[0])
        return sum(received[host.name] for host in hosts)

    def silence(self, host, share):
        subprocess.run([os.environ["LAB_TOOL"], "loss", host.name, share], check=True)


class Cluster:
    """One contender's peers on some hosts, all started at once."""

    def __init__(self, lab, contender, size):
        self.lab = lab
        self.contender = contender
        self.hosts = lab.hosts[:size]
        self.sent_before = lab.bytes_sent(self.hosts)
        self.started = time.monotonic()
        chance = random.Random(size)
        self.launchers = {}
        for index, host in enumerate(self.hosts):
            told = chance.sample(self.hosts[:index], min(index, 2))
            self.launchers[host] = host.spawn(*contender.command(host, told))

    def bytes_each(self):
        return (self.lab.bytes_sent(self.hosts) - self.sent_before) / len(self.hosts)

    def process(self, host):
        """The contender's own process: nsenter waits for it."""
        launcher = self.launchers[host].pid
        with open(f"/proc/{launcher}/task/{launcher}/children", encoding="ascii") as children:
            return int(children.read().split()[0])

    def alive(self):
        return [host for host in self.hosts if self.launchers[host].poll() is None]

    def cpu_seconds(self):
        total = 0
        for host in self.alive():
            with open(f"/proc/{self.process(host)}/stat", encoding="ascii") as stat:
                fields = stat.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS_PER_SECOND

    def memory_bytes(self):
        each = []
        for host in self.alive():
            with open(f"/proc/{self.process(host)}/status", encoding="ascii") as status:
                each += [int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")]
        return sum(each) / len(each)

    def walk(self, hosts, holds, seconds_max, since):
        """Seconds from `since` until all hosts have been seen to hold, or None."""
        for host in hosts:
            while True:
                try:
                    if holds(host):
                        break
                    answered = "not yet"
                except (OSError, ValueError) as error:
                    answered = str(error)
                if time.monotonic() - since > seconds_max:
                    progress(f"{self.contender.name}: {host.name} does not get there: {answered}")
                    host.show_log()
                    return None
                time.sleep(POLL_SECONDS)
        return time.monotonic() - since

    def kill(self, host):
        os.kill(self.process(host), signal.SIGKILL)
        self.launchers[host].wait()

    def end(self):
        for host in self.alive():
            self.kill(host)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.contender.clean, self.hosts))


class Samples:
    """Files as bench/lib.sh reads them: CONTENDER.MEASURE_SIZE, a number a line."""

    def __init__(self, directory, contender, size):
        self.prefix = f"{directory}/{contender}."
        self.suffix = f"_{size}"

    def add(self, measure, value):
        if value is not None:
            with open(f"{self.prefix}{measure}{self.suffix}", "a", encoding="ascii") as file:
                print(f"{value:.6f}", file=file)


def measure_start(cluster, samples):
    contender, size = cluster.contender, len(cluster.hosts)
    ready = cluster.walk(cluster.hosts, contender.is_ready, SETTLE_SECONDS_MAX, cluster.started)
    samples.add("ready_time", ready)
    settled = cluster.walk(cluster.hosts, lambda host: contender.peer_count(host) == size,
                           SETTLE_SECONDS_MAX, cluster.started)
    if settled is None:
        return False
    samples.add("settle_time", settled)
    samples.add("settle_bytes", cluster.bytes_each())
    samples.add("settle_cpu", cluster.cpu_seconds() / size)
    progress(f"{contender.name} {size}: ready {ready:.2f} s, settled {settled:.2f} s, {cluster.bytes_each():.0f} B each")
    if contender.allocates:
        with ThreadPoolExecutor(16) as pool:
            addresses = list(pool.map(contender.allocate, cluster.hosts))
        samples.add("usable_time", time.monotonic() - cluster.started)
        if len(set(addresses)) != size:
            raise RuntimeError(f"{contender.name} handed out an address twice: {sorted(addresses)}")
    return True


def measure_idle(cluster, samples):
    time.sleep(QUIET_SECONDS)
    size = len(cluster.hosts)
    started, sent, cpu = time.monotonic(), cluster.bytes_each(), cluster.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    elapsed = time.monotonic() - started
    samples.add("idle_bytes", (cluster.bytes_each() - sent) / elapsed)
    samples.add("idle_cpu", (cluster.cpu_seconds() - cpu) / elapsed / size * 100)
    samples.add("memory", cluster.memory_bytes() / 1e6)


def measure_record(cluster, samples):
    publisher, *others = cluster.hosts
    for number in range(RECORDS):
        since = time.monotonic()
        cluster.contender.publish(publisher, number)
        samples.add("record_time", cluster.walk(
            others, lambda host: cluster.contender.knows(host, number), NOTICE_SECONDS_MAX, since))


def measure_losses(cluster, samples):
    """One peer is killed, then another is cut off."""
    contender, size = cluster.contender, len(cluster.hosts)
    killed, cut = cluster.hosts[size // 2], cluster.hosts[size - 1]
    rest = [host for host in cluster.hosts if host not in (killed, cut)]
    since = time.monotonic()
    cluster.kill(killed)
    samples.add("kill_time", cluster.walk([*rest, cut], lambda host: contender.peer_count(host) == size - 1,
                                          NOTICE_SECONDS_MAX, since))
    since = time.monotonic()
    cluster.lab.silence(cut, "100%")
    samples.add("cut_time", cluster.walk(rest, lambda host: contender.peer_count(host) == size - 2,
                                         NOTICE_SECONDS_MAX, since))
    cluster.lab.silence(cut, "0%")


def measure(lab, contender, size, samples, is_last):
    progress(f"{contender.name}, {size} peers")
    cluster = Cluster(lab, contender, size)
    try:
        # What takes long is measured once.
        if measure_start(cluster, samples) and is_last:
            measure_idle(cluster, samples)
            measure_record(cluster, samples)
            measure_losses(cluster, samples)
    finally:
        cluster.end()


def main():
    lab = Lab(sys.argv[1])
    rounds = int(sys.argv[3])
    for size in map(int, sys.argv[4:]):
        for number in range(rounds):
            for contender in contenders():
                if size <= contender.peers_max:
                    samples = Samples(sys.argv[2], contender.name, size)
                    measure(lab, contender, size, samples, number == rounds - 1)


if __name__ == "__main__":
    main()
