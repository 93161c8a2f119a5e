# SPDX-License-Identifier: MIT
"""The manual is typeset without a warning, and tells of the options and exit statuses that --help tells of."""
import re
import shutil
import subprocess
import sys

from build_under_test import BUILD, SOURCE, finish, run

PROGRAM = sys.argv[1]
PAGES = {"penstock.1": [], "penstock-digest.1": ["digest"]}  # page: the arguments that its --help follows
OPTION = re.compile(r"^\s+(?:(-\w)(?:[ =]?[A-Z]+)?, )?(--[a-z0-9-]+)(?=\[?=|\s|$)", re.MULTILINE)
MENTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def output(*command):
    return run(*command, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


def typeset(page):
    """The page as plain text, with ASCII's hyphen for what the device takes for one; and what groff says about it."""
    result = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(page)], encoding="utf-8",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    warnings = result.stderr.splitlines()
    if result.returncode != 0:
        warnings.append(f"exit status {result.returncode}")
    return result.stdout.replace("\N{HYPHEN}", "-").replace("\N{MINUS SIGN}", "-"), warnings


def section(text, title):
    """From the line that begins with the title, in any case, to a blank line that no indented line follows."""
    found = re.search(rf"^{title}\b(.*?)(?=\n\s*\n\S|\Z)", text, re.DOTALL | re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def options(text):
    """The options that begin a line: "-x, --long" or "--long". A line of prose may leave out the short form."""
    shorts = {}
    for short, name in OPTION.findall(text):
        shorts[name] = shorts.get(name) or short
    return {f"{short}, {name}" if short else name for name, short in shorts.items()}


def exit_statuses(text):
    return set(re.findall(r"\b\d+\b", section(text, "exit status")))


def differences(where, what, written, told):
    yield from (f"{where}: {what} {one} is not in --help" for one in sorted(written - told))
    yield from (f"{where}: {what} {one} of --help is missing" for one in sorted(told - written))


def unknown_options(where, text, known):
    names = {option.split()[-1] for option in known}
    yield from (f"{where}: there is no option {name}" for name in sorted(set(MENTION.findall(text)) - names))


if not shutil.which("groff"):
    sys.exit("no groff: tools/deps.sh")
complaints = []
version = output(PROGRAM, "--version").splitlines()[0]
for page, arguments in PAGES.items():
    manual, warnings = typeset(BUILD / "tools/man" / page)
    complaints += [f"{page}: groff: {warning}" for warning in warnings]
    told = output(PROGRAM, *arguments, "--help")
    known = options(told)
    complaints += differences(page, "option", options(section(manual, "options")), known)
    complaints += unknown_options(page, manual, known)
    # The program's own help may leave exit statuses to its commands.
    if arguments or exit_statuses(told):
        complaints += differences(page, "exit status", exit_statuses(manual), exit_statuses(told))
    if not manual.rstrip().rpartition("\n")[2].startswith(version + " "):
        complaints.append(f"{page}: its last line does not begin with {version}")
    print(f"{page}: {len(known)} options", flush=True)

    readme = re.search(rf"^## {page[:-2].replace('-', ' ')}\n(.*?)(?=^## |\Z)", (SOURCE / "README.md").read_text(),
                       re.DOTALL | re.MULTILINE)
    if readme:
        complaints += unknown_options("README.md", readme[1], known)
        table = options(re.sub(r"^\| *`", "  ", readme[1], flags=re.MULTILINE).replace("`", " "))
        if table:
            complaints += differences("README.md", "option", table, known)
finish(complaints)
