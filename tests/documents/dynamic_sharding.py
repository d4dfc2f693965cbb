"""Replaces dynamic-sharding, which is in no registry: registers the Pushgateways of a dynamic-sharding.yml as it does,
and answers by the reference implementation of its placement. Reads the members once."""

import http.server
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testdata"))
from reference.placement import DynamicSharding  # noqa: E402

CONSUL = "http://127.0.0.1:8500"


def register(host):
    address = f"{host}:9091"
    check = {"HTTP": f"http://{address}/-/healthy", "Interval": "5s", "Timeout": "2s",
             "DeregisterCriticalServiceAfter": "60s"}
    service = {"Name": "pushgateway", "ID": f"{host}_9091", "Address": host, "Port": 9091, "Check": check}
    body = json.dumps(service).encode()
    request = urllib.request.Request(f"{CONSUL}/v1/agent/service/register", body, method="PUT")
    urllib.request.urlopen(request).close()
    return address


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        owner = ring.clockwise(path.encode())[0]
        url = f"http://{owner}{path}"
        body = b"" if self.command != "GET" else f"nextUrl:{url}".encode()
        self.send_response(200 if self.command == "GET" else 307)
        if self.command != "GET":
            self.send_header("location", url)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


lines = Path(sys.argv[1].removeprefix("--config.file=")).read_text().splitlines()
hosts = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
ring = DynamicSharding({register(host): 1 for host in hosts})
http.server.ThreadingHTTPServer(("", 9292), Handler).serve_forever()
