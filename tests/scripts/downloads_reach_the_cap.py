# SPDX-License-Identifier: MIT
"""The example download_many_urls keeps as many downloads running as its limit says, never more, and reuses connections."""
import subprocess
import sys

from build_under_test import finish
from web_server import DIRECTLY, PATIENCE, Watch, web_server

LIMIT = 100
REQUESTS = 20_000
HELD = 2 * LIMIT  # of these, one after the other: for seconds each, so that a slow machine shows the cap, too
HELD_BYTES = 20_480

with web_server() as server:
    (server.pages / "held").mkdir()
    (server.pages / "held/page").write_text("h" * HELD_BYTES)
    (server.pages / "page").write_text("p" * 1000)
    quick = [server.url(f"page?{number}") for number in range(REQUESTS - HELD)]
    held = [server.url(f"held/page?{number}") for number in range(HELD)]
    urls = quick[:5000] + held + quick[5000:]
    with Watch(server) as watch:
        program = subprocess.run([sys.argv[1], str(LIMIT)], input="\n".join(urls), text=True, stdout=subprocess.PIPE,
                                 timeout=PATIENCE, env=DIRECTLY)
    requested = server.requested()

print(program.stdout, end="")
print(f"{watch.samples} samples: at most {watch.most_served} requests at a time, {watch.most_connected} connections;",
      f"{watch.accepted} connections for {watch.requests} requests")
expected = f"{REQUESTS} pages, {HELD_BYTES * HELD + 1000 * len(quick)} bytes, 0 failed\n"
complaints = []
if program.returncode or program.stdout != expected:
    complaints.append(f"the program failed ({program.returncode}); expected: {expected}")
if watch.requests != REQUESTS or len(set(requested)) != REQUESTS or len(requested) != REQUESTS:
    complaints.append(f"{watch.requests} requests, {len(set(requested))} different ones of {len(requested)}")
# The server counts what it reads and what it writes one after the other: a request may be in both.
if watch.most_served < LIMIT:
    complaints.append(f"at most {watch.most_served} requests were seen at a time, not {LIMIT}")
# Each request has its connection to itself: as many requests at a time as connections ever, at most.
if watch.accepted > LIMIT or watch.most_connected > LIMIT or watch.dropped:
    complaints.append(f"{watch.accepted} connections were made, {watch.most_connected} at a time, {watch.dropped} dropped")
finish(complaints)
