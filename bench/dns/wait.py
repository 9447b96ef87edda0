#!/usr/bin/env python3
"""The milliseconds that 99 of 100 questions of a light client wait, while others load the server.

Usage: wait.py PORT SECONDS QUESTIONS    (a file of "NAME TYPE" lines, as dnsperf reads)

A load generator that asks a hundred thousand times a second waits for its own threads as well, and counts that as the
server's. This client asks some thousand times a second and goes before everything else on its processor, so what it
sees is the server's doing alone.
"""

import os
import random
import socket
import struct
import sys
import time

PAUSE_SECONDS = 0.0007
CLIENTS = 16  # A server's threads share clients out by their ports.
REAL_TIME_PRIORITY = 10


def question(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)


def main():
    port, seconds, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    with open(path, encoding="ascii") as lines:
        names = [line.split()[0] for line in lines]
    clients = []
    for _ in range(CLIENTS):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(("127.0.0.1", port))
        client.settimeout(1)  # An answer that is lost ends the bench: none may be at half load.
        clients.append(client)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME_PRIORITY))
    waits = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = len(waits) % 65536
        client = clients[number % CLIENTS]
        message = question(random.choice(names), number)
        begin = time.monotonic_ns()
        client.send(message)
        answer = client.recv(512)
        waits.append(time.monotonic_ns() - begin)
        assert answer[:2] == message[:2] and answer[6:8] != b"\0\0", "no answer to this question"
        time.sleep(PAUSE_SECONDS)
    waits.sort()
    print(waits[int(len(waits) * 0.99)] / 1e6)


main()
