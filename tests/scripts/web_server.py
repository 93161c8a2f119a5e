# SPDX-License-Identifier: MIT
"""A real nginx on loopback, for a test: on a free port, in a folder of its own, and what it says of itself."""
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 300  # seconds; more than anything takes
DIRECTLY = {**os.environ, "no_proxy": "*"}  # the environment in which no proxy is asked for what is on this machine
# Debian's is in a folder that not every user's path has.
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or sys.exit("no nginx: tools/deps.sh")

CONFIGURATION = """
{user}
daemon off;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    default_type text/html;
    keepalive_requests 1000000;
    keepalive_timeout 1h;
    client_body_temp_path {folder}/temp-body;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {folder}/pages;
        location = /status {{ stub_status; access_log off; }}
        location /held/ {{ limit_rate 4k; }}  # a second for each 4,096 bytes but the first
    }}
}}
"""


class Server:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.pages = self.folder / "pages"
        self.pages.mkdir()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def start(self):
        """False: another program was faster to take the port."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(
            folder=self.folder, port=self.port, user="user root;" if os.geteuid() == 0 else ""))
        self.process = subprocess.Popen([NGINX, "-p", self.folder, "-e", self.folder / "error.log", "-c", configuration])
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(ConnectionError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self.process.poll() is None
            time.sleep(0.01)
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def requested(self):
        """The paths that were asked for, in the order of the answers. Ends the server: it writes of a request when the
        answer is out already."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE)
        return re.findall(r'"GET (\S+) ', (self.folder / "access.log").read_text())


@contextlib.contextmanager
def web_server():
    with tempfile.TemporaryDirectory(prefix="penstock-nginx-") as folder:
        server = Server(folder)
        if not any(server.start() for _ in range(5)):
            sys.exit("nginx does not start:\n" + (server.folder / "error.log").read_text())
        try:
            yield server
        finally:
            server.stop()


class Watch:
    """Asks a server again and again how it is, over one connection of its own, which no number here includes."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        first = self.ask()
        self.samples = 0
        self.most_served = self.most_connected = 0
        self.accepted_before, self.requests_before = first["accepted"], first["requests"]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def ask(self):
        self.connection.request("GET", "/status")
        text = self.connection.getresponse().read().decode()
        names = ("connected", "accepted", "handled", "requests", "reading", "writing", "waiting")
        return dict(zip(names, map(int, re.findall(r"\d+", text))))

    def run(self):
        while not self.ending.wait(0.005):
            now = self.ask()
            self.samples += 1
            self.most_served = max(self.most_served, now["reading"] + now["writing"] - 1)
            self.most_connected = max(self.most_connected, now["connected"] - 1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        last = self.ask()
        self.accepted = last["accepted"] - self.accepted_before
        self.requests = last["requests"] - self.requests_before - self.samples - 1
        self.dropped = last["accepted"] - last["handled"]
        self.connection.close()
