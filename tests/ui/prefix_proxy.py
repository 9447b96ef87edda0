"""A reverse proxy that has the web UI below a path, as many sites do: prefix_proxy.py PORT PREFIX UPSTREAM_PORT

It takes the prefix off, calls the agent by its address as nginx does unless told otherwise, says in X-Forwarded-…
whom it serves (somebody at 192.0.2.7), and passes WebSockets on. What is not below the prefix is another application: 404.
"""
import socket
import sys
import threading

PORT, PREFIX, UPSTREAM = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
OURS = (b"host:", b"connection:", b"x-forwarded-")


def pump(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
    except OSError:
        pass  # One of them has left.
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


# One request a connection, unless it becomes a WebSocket.
def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(65536)
        if not piece:
            return client.close()
        head += piece
    head, rest = head.split(b"\r\n\r\n", 1)
    first, *lines = head.split(b"\r\n")
    method, target, version = first.split(b" ")
    if not target.startswith(PREFIX + b"/"):
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return client.close()
    host = next(line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"host:"))
    is_upgrade = any(line.lower().startswith(b"upgrade:") for line in lines)
    kept = [line for line in lines if not line.lower().startswith(OURS)]
    kept += [b"Host: 127.0.0.1:%d" % UPSTREAM, b"Connection: " + (b"upgrade" if is_upgrade else b"close"),
             b"X-Forwarded-Host: " + host, b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: http"]
    agent = socket.create_connection(("127.0.0.1", UPSTREAM))
    agent.sendall(b"\r\n".join([b" ".join([method, target[len(PREFIX):], version]), *kept]) + b"\r\n\r\n" + rest)
    threading.Thread(target=pump, args=(client, agent), daemon=True).start()
    pump(agent, client)


listener = socket.create_server(("127.0.0.1", PORT), backlog=128)
print("serving", flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
