#!/usr/bin/env python3
"""Pushes until the file `stop` exists: half of the clients over a new connection for each push, as curl does.

The file `target` has the port. Prints the number of pushes, those that were not answered 200, and the last value of each group.
"""
import json
import os
import socket
import threading
import time

GROUPS = 40
CLIENTS = 4
# Other tests need the machine as well.
PAUSE = 0.004


def port():
    with open("target") as file:
        return int(file.read())


def answer(connection, head, body):
    connection.sendall(head + body)
    text = b""
    while b"\r\n\r\n" not in text:
        part = connection.recv(4096)
        if not part:
            raise ConnectionError(f"closed after {text!r}")
        text += part
    return text


def push(client, result):
    keep, connection, number, open_port = client % 2 == 0, None, 0, None
    while not os.path.exists("stop"):
        path = f"/metrics/job/batch/instance/{client}-{number % GROUPS}"
        body = f"records {number}\n".encode()
        close = "" if keep else "Connection: close\r\n"
        head = f"PUT {path} HTTP/1.1\r\nHost: load\r\n{close}Content-Length: {len(body)}\r\n\r\n".encode()
        number += 1
        result["pushes"] += 1
        time.sleep(PAUSE)
        try:
            now = port()
            for _ in range(2):
                if connection is None or open_port != now:
                    connection, open_port = socket.create_connection(("127.0.0.1", now), 60), now
                text = answer(connection, head, body)
                status = text.split(b" ", 2)[1]
                if not keep or b"connection: close" in text.lower():
                    connection.close()
                    connection = None
                if status != b"307":
                    break
                location = text.lower().split(b"location: http://127.0.0.1:")[1]
                now, connection = int(location.split(b"/")[0]), None
            if status != b"200":
                raise ConnectionError(text.decode(errors="replace"))
            result["values"][path] = number - 1
        except OSError as error:
            result["lost"].append(f"{path}: {error}")
            connection = None
        if number % GROUPS == 0:
            with open(f"rounds-{client}", "w") as file:
                file.write(f"{number // GROUPS}\n")


results = [{"pushes": 0, "lost": [], "values": {}} for _ in range(CLIENTS)]
threads = [threading.Thread(target=push, args=pair) for pair in enumerate(results)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
total = {"pushes": 0, "lost": [], "values": {}}
for one in results:
    total["pushes"] += one["pushes"]
    total["lost"] += one["lost"]
    total["values"].update(one["values"])
print(json.dumps(total))
