# SPDX-License-Identifier: MIT
"""The example crawl_links asks for each page that can be reached once, and ends when there is none left."""
import random
import subprocess
import sys

from build_under_test import finish
from web_server import DIRECTLY, PATIENCE, Watch, web_server

LIMIT = 20
PAGES = 2000
UNREACHABLE = 100

# Page 0 leads to a chain, where there is only one page to go to, which ends where all others begin; each of these is
# reached by one link at least, and has some more to anywhere, itself included.
chance = random.Random(1)
CHAIN = 50
links = {page: [page + 1] for page in range(CHAIN)}
links.update({page: [] for page in range(CHAIN, PAGES)})
for page in range(CHAIN + 1, PAGES):
    links[max(CHAIN, page - chance.randint(1, 200))].append(page)
for page in range(CHAIN, PAGES):
    links[page] += chance.choices(range(PAGES), k=3)
links.update({PAGES + page: [PAGES + page, 0] for page in range(UNREACHABLE)})

with web_server() as server:
    for page, targets in links.items():
        anchors = "\n".join(f'<a href="/{target}">{target}</a>' for target in targets)
        (server.pages / str(page)).write_text(f"<html>{anchors}</html>")
    with Watch(server) as watch:
        program = subprocess.run([sys.argv[1], str(LIMIT), server.url("0")], text=True, stdout=subprocess.PIPE,
                                 timeout=PATIENCE, env=DIRECTLY)
    requested = server.requested()
    expected = {server.url(str(page)) for page in range(PAGES)}

printed = program.stdout.split()
print(f"{len(printed)} pages printed, {len(requested)} asked for; {watch.accepted} connections")
complaints = []
if program.returncode:
    complaints.append(f"the program failed ({program.returncode})")
if sorted(printed) != sorted(expected):
    complaints.append(f"{len(printed)} pages printed, {len(set(printed))} different ones, {len(expected)} expected")
if sorted(requested) != sorted(f"/{page}" for page in range(PAGES)):
    complaints.append(f"{len(requested)} pages asked for, {len(set(requested))} different ones, {PAGES} expected")
if watch.accepted > LIMIT:
    complaints.append(f"{watch.accepted} connections were made")
finish(complaints)
