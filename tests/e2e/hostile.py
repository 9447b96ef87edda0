#!/usr/bin/env python3
"""Clients of the control API that do everything wrong: python3 hostile.py ADDRESS:PORT.

Each way of being wrong is one function. After each the agent must answer an honest question, and what
it said to the wrong one must be an HTTP error or a closed connection: never a 2xx or 5xx, never
silence. Prints one line per way."""
import contextlib
import errno
import os
import random
import re
import socket
import sys
import time

HOST, PORT = sys.argv[1].rsplit(":", 1)
ANSWER_SECONDS = 20
HEAD = b"Host: 127.0.0.1\r\n"
random.seed(20)


def connect():
    return socket.create_connection((HOST, int(PORT)), timeout=ANSWER_SECONDS)


def read_all(client):
    """All that comes until the agent closes; what came so far if it does not."""
    data = b""
    try:
        while True:
            piece = client.recv(65536)
            if not piece:
                return data
            data += piece
    except (TimeoutError, socket.timeout):
        return data
    except ConnectionError:
        return data


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def send(data, close_sending=True):
    with connect() as client:
        try:
            client.sendall(data)
            if close_sending:
                client.shutdown(socket.SHUT_WR)
        except OSError as error:  # It was refused, and cut off, before all was sent.
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                raise
        return statuses(read_all(client))


def assert_alive():
    assert send(b"GET /status HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n") == [200]


def assert_prompt():
    before = time.monotonic()
    assert_alive()
    assert time.monotonic() - before < 5, "an honest client waited"  # 20 ms; others test on the machine, too.


def refused(data, expected=range(400, 500), close_sending=True):
    got = send(data, close_sending)
    assert all(status in expected for status in got), (data[:80], got)
    return got


def blobs():
    for size in [1, 2, 15, 64, 1500, 70000]:
        for _ in range(40):
            refused(os.urandom(size))


def methods():
    for method in [b"BREW", b"get", b"G" * 5000, b"", b"GET\x00", b"PATCH", b"TRACE", b"CONNECT", b"OPTIONS"]:
        for path in [b"/status", b"/ip/x", b"/name/x/1.2.3.4", b"/connect", b"*", b"http://other/"]:
            got = refused(method + b" " + path + b" HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
            assert got, (method, path)


def versions():
    for version in [b"HTTP/9.9", b"HTTP/1", b"http/1.1", b"SPDY/3", b"", b"HTTP/1.1 junk"]:
        refused(b"GET /status " + version + b"\r\n" + HEAD + b"\r\n")
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500))  # TLS


def escapes():
    for path in [b"/name/%", b"/name/%zz", b"/name/%00/1.2.3.4", b"/ip/%2e%2e%2f%2e%2e%2fetc/passwd", b"/ip/..%5c..",
                 b"/../../etc/passwd", b"//status", b"/ip/" + b"%41" * 4000, b"/ip/x/1.2.3.4/99", b"/ip/x/1.2.3.4/-1",
                 b"/ip/x/999.2.3.4/24", b"/ip/x/1.2.3.4/24/5/6", b"/expose/1.2.3.4/33", b"/peer/%ff%fe", b"/\xff\xfe\xfd",
                 b"/name/x/::1%25eth0", b"/connect?peer=%zz", b"/status/" + b"a" * 15000]:
        for method in [b"GET", b"PUT", b"POST", b"DELETE"]:
            got = send(method + b" " + path + b" HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            # Listing what nobody has is an empty list, removing it is no error (Weave's API).
            assert got and (got[0] in range(400, 500) or got[0] in (200, 204)), (method, path[:60], got)


def oversized():
    big = 4 << 20
    assert refused(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n") == [431]
    assert refused(b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * big + b"\r\n\r\n") in ([431], [])
    assert refused(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n") == [431]
    assert refused(b"POST /connect HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000000\r\n\r\n" + b"a" * 5000000) in ([413], [])
    refused(b"POST /connect HTTP/1.1\r\n" + HEAD + b"Content-Length: 99999999999999999999\r\n\r\n")
    refused(b"POST /connect HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n")
    refused(b"POST /connect HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")


def chunks():
    head = b"POST /connect HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    many = b"".join(b"10000\r\n" + b"a" * 65536 + b"\r\n" for _ in range(64))
    assert refused(head + many) in ([413], [])
    # Beside the pieces: an extension, and fields behind the last. Neither may be as long as memory is.
    for endless in [b"1;" + b"x" * (64 << 20), b"0\r\n" + b"X: y\r\n" * (8 << 20)]:
        assert refused(head + endless) in ([431], [])
    for body in [b"ffffffffffffffff\r\na", b"zz\r\n", b"-1\r\n", b"5\r\nabcdefgh\r\n"]:
        refused(head + body)
    refused(b"POST /connect HTTP/1.1\r\n" + HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")


def pages():
    """A browser on behalf of somebody's page, and names that were made to resolve to this host."""
    for header in [b"Origin: http://evil.example\r\n" + HEAD, b"Host: evil.example\r\n"]:
        got = refused(b"POST /connect HTTP/1.1\r\n" + header + b"Content-Length: 14\r\nConnection: close\r\n\r\npeer=192.0.2.1")
        assert got and got[0] == 403, got


def pipelining():
    """A thousand questions at once are answered one after the other, in order and whole."""
    with connect() as client:
        client.sendall(b"".join((b"GET /status/targets HTTP/1.1\r\n" if i % 2 else b"GET /nothing HTTP/1.1\r\n") + HEAD + b"\r\n"
                                for i in range(1000)) + b"GET /status HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        client.settimeout(20)
        got = statuses(read_all(client))
    assert got == [404, 200] * 500 + [200], (len(got), got[:4])


def half_requests():
    """Clients that leave in the middle of everything."""
    whole = b"PUT /name/x/10.32.0.9 HTTP/1.1\r\n" + HEAD + b"Content-Length: 20\r\n\r\nfqdn=half.weft.local"
    for end in range(0, len(whole) - 1, 3):
        with connect() as client:
            client.sendall(whole[:end])
    for _ in range(100):  # Waits for an address that there is not, and hangs up.
        with connect() as client:
            client.sendall(b"POST /ip/nobody/10.32.0.0/12 HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\n\r\n")


def slow_clients():
    """Two hundred that say a byte now and then; the honest one is answered at once all the while."""
    clients = [connect() for _ in range(200)]
    for byte in b"GET /status HTTP/1.1\r\n":
        for client in clients:
            with contextlib.suppress(ConnectionError):  # A request has ten seconds to arrive.
                client.send(bytes([byte]))
        assert_prompt()
    for client in clients:
        client.close()


def stalled_clients():
    """More than there are places, all in the middle of a request or before one: none keeps its place."""
    clients = []
    for number in range(600):
        client = connect()
        client.send(b"GET /status HTTP/1.1\r\nHost: " if number % 2 else b"")
        clients.append(client)
        if number % 100 == 99:
            assert_prompt()
    for client in clients:
        client.close()


def deaf_clients():
    """Ask for much and read nothing."""
    clients = []
    for _ in range(50):
        client = connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setblocking(False)
        try:
            client.send((b"GET /report HTTP/1.1\r\n" + HEAD + b"\r\n") * 1000)
        except BlockingIOError:
            pass
        clients.append(client)
    assert_alive()
    for client in clients:
        client.close()


for way in [blobs, methods, versions, escapes, oversized, chunks, pages, pipelining, half_requests, slow_clients, stalled_clients, deaf_clients]:
    before = time.monotonic()
    way()
    assert_alive()
    print(f"{way.__name__}: {time.monotonic() - before:.1f} s", flush=True)
