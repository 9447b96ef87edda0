"""What the probe is measured with: load.py live COUNT | short PER_SECOND, until it is ended.

load.py speed COUNT: so many short connections as fast as they go; prints the microseconds of CPU each took."""
import resource
import socket
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


def main():
    kind, number = sys.argv[1], int(sys.argv[2])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    threading.Thread(target=serve, args=(listener, kind == "live"), daemon=True).start()
    address = listener.getsockname()
    if kind == "live":
        connections = [socket.create_connection(address) for _ in range(number)]
        print(len(connections), flush=True)
        while True:
            time.sleep(3600)
    if kind == "speed":
        for _ in range(number // 10):  # What is slow only at first.
            connect(address)
        before = time.process_time()
        for _ in range(number):
            connect(address)
        print(round((time.process_time() - before) / number * 1e6, 2))
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
