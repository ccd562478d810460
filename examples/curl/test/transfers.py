"""Has curl fetch a file by its URL, from a server over HTTP, in parts, and upload one."""

import http.server
import pathlib
import subprocess
import sys
import threading

curl, file = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
expected = file.read_bytes()
uploaded = {}


class Server(http.server.SimpleHTTPRequestHandler):
    def do_PUT(self):
        uploaded[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


def run(*arguments):
    return subprocess.run([curl, "--silent", "--fail", *arguments], check=True, capture_output=True).stdout


handler = lambda *arguments: Server(*arguments, directory=str(file.parent))
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    assert run(file.as_uri()) == expected
    assert run("--range", "10-99", file.as_uri()) == expected[10:100]
    assert run(f"{address}/{file.name}") == expected
    run("--upload-file", str(file), f"{address}/copy")
    assert uploaded["/copy"] == expected
    missing = subprocess.run([curl, "--silent", "--fail", f"{address}/nothing"])
    assert missing.returncode == 22, missing.returncode
    server.shutdown()
