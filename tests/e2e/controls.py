"""A person at the web UI: wishes for controls, and talks through a pipe.

    controls.py wish URL TOKEN HOST NODE CONTROL           status and answer
    controls.py talk URL TOKEN HOST NODE CONTROL INPUT UNTIL [WIDTH]
        opens a pipe, types INPUT, prints what comes until UNTIL is in it, then leaves

An empty TOKEN asks without one.
"""
import base64
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 15
UNCHECKED = ssl.create_default_context()
UNCHECKED.check_hostname = False
UNCHECKED.verify_mode = ssl.CERT_NONE


def headers(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def wish(url, token, path, arguments=None):
    target = url + "/api/control/" + "/".join(urllib.parse.quote(part, safe="") for part in path)
    request = urllib.request.Request(target, json.dumps(arguments or {}).encode(), headers(token), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=40, context=UNCHECKED) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


class WebSocket:
    """RFC 6455, as much as a terminal needs."""

    def __init__(self, url, token, path):
        parts = urllib.parse.urlsplit(url)
        raw = socket.create_connection((parts.hostname, parts.port), TIMEOUT)
        self.socket = UNCHECKED.wrap_socket(raw) if parts.scheme == "https" else raw
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        lines += [f"{key}: {value}" for key, value in headers(token).items()]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.take()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        assert b" 101 " in head.split(b"\r\n")[0], head

    def take(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the pipe was closed")
        return piece

    def exactly(self, size):
        while len(self.rest) < size:
            self.rest += self.take()
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def send(self, data):
        key = os.urandom(4)
        masked = bytes(byte ^ key[index % 4] for index, byte in enumerate(data))
        assert len(data) < 126, "what is typed fits the shortest frame"
        self.socket.sendall(bytes([0x82, 0x80 | len(data)]) + key + masked)

    def receive(self):
        kind, size = self.exactly(2)
        if size == 126:
            size, = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.exactly(8))
        data = self.exactly(size)
        if kind & 0xF == 8:
            raise EOFError("the pipe was closed")
        return data if kind & 0xF in (0, 1, 2) else b""


def talk(url, token, path, typed, until, width=None):
    status, answer = wish(url, token, path)
    if status != 200:
        sys.exit(f"{status} {answer}")
    pipe = WebSocket(url, token, "/api/pipe/" + answer["pipe"])
    if width:
        size = {"pipeID": answer["pipe"], "width": width, "height": "24"}
        resized = wish(url, token, [*path[:2], answer["resize_tty_control"]], size)
        assert resized[0] == 200, resized
    if typed:
        pipe.send(typed.encode())
    heard = b""
    deadline = time.monotonic() + TIMEOUT
    try:
        while until.encode() not in heard:
            if time.monotonic() > deadline:
                sys.exit(f"not heard: {until!r}, but {heard!r}")
            heard += pipe.receive()
    except EOFError as end:
        heard += f"[{end}]".encode()
        if until.encode() not in heard:
            sys.exit(f"not heard: {until!r}, but {heard!r}")
    sys.stdout.buffer.write(heard)


def main():
    what, url, token, *rest = sys.argv[1:]
    if what == "wish":
        status, answer = wish(url, token, rest)
        print(status, json.dumps(answer))
    else:
        talk(url, token, rest[:3], rest[3].encode().decode("unicode_escape"), *rest[4:])


main()
