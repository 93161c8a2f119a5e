# SPDX-License-Identifier: MIT
"""Makes system calls of the program fail: in the program with a preloaded library (faults.c), or from outside."""
import collections
import errno
import functools
import os
import pathlib
import shutil
import subprocess
import unittest

import running
import support

SOURCE = pathlib.Path(__file__).with_name("faults.c")

CHANGED = "file changed as we read it"
REASONS = [CHANGED, *map(os.strerror, errno.errorcode)]

Found = collections.namedtuple("Found", "names messages")


def rule(call, action, value=0, first=1, every=0, name="*"):
    """See faults.c. Without `every` only one call is struck, the one with number `first`."""
    return f"{call}:{action}:{value}:{first}:{every}:{name}"


def always(call, action, value=0, name="*"):
    return rule(call, action, value, 1, 1, name)


@functools.cache
def library():
    built = os.path.join(os.fsdecode(support.new_folder()), "faults.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", built, SOURCE], check=True)
    return built


def preloading(root, log, rules):
    """The environment in which the program's calls on files below `root` obey the rules. The file .hold in `root` is
    the one that "hold" waits for."""
    inherited = support.environment()
    sanitizer = inherited.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"  # it wants to be first itself
    return {**inherited, "LD_PRELOAD": library(), "FAULTS": " ".join(rules), "FAULTS_ROOT": os.fsdecode(root),
            "FAULTS_LOG": os.fsdecode(log), "FAULTS_HOLD": os.path.join(os.fsdecode(root), ".hold"),
            "ASAN_OPTIONS": sanitizer}


def sanitized():
    """Whether the program brings the memory and the descriptors of a sanitizer with it."""
    with open(support.BINARY, "rb") as file:
        content = file.read()
    return any(mark in content for mark in [b"__asan_init", b"__tsan_init", b"__msan_init"])


class FaultTest(support.ToolTest):
    """A test whose program does not get from the system what it expects."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(support.BINARY, "rb") as file:
            if b"ld-linux" not in file.read(8192) and b"ld-musl" not in file.read(8192):
                raise unittest.SkipTest("nothing can be preloaded into a program that is linked statically")

    def setUp(self):
        super().setUp()
        self.root = os.path.realpath(self.folder)

    def digest_under(self, rules, *arguments, **settings):
        """The result, and which calls were struck: lines like "read tree/a"."""
        log = self.path(b".struck")
        if os.path.exists(log):
            os.remove(log)
        result = self.digest(*arguments, **{"env": preloading(self.root, log, rules), **settings})
        if not os.path.exists(log):
            return result, []
        with open(log, "rb") as file:
            return result, file.read().replace(self.root + b"/", b"").splitlines()

    def holding(self, names):
        """The environment in which the program begins to read each of these files and can go on with none until
        release()."""
        self.write(b".hold")
        rules = [rule("read", "hold", name=os.fsdecode(name)) for name in names]
        return preloading(self.root, self.path(b".struck"), rules)

    def start_holding(self, names, *arguments, **settings):
        """The running program when it has come to all of these files."""
        log = self.write(b".struck", b"")
        process = self.start_watched(*arguments, env=self.holding(names), **settings)

        def held():
            with open(self.path(log), "rb") as file:
                return file.read().count(b"\n")
        running.wait_until(lambda: held() == len(names))
        return process

    def release(self):
        os.remove(self.path(b".hold"))

    def traced(self, options, paths, command, **settings):
        """Runs a program under strace, whose options inject faults into its calls on these paths (all if empty).
        Returns the result and how many calls were struck."""
        skip_unless_strace_works(self)
        log = self.path(b".trace")
        chosen = [part for path in paths for part in (b"-P", os.path.join(self.root, path), b"-P", path)]
        environment = support.environment()
        environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # that traces, too
        settings = {"env": environment, **settings}
        strace = ["strace", "-f", "--quiet=all", "-o", log, *options, *chosen, "--"]
        result = self.run_program([*strace, *command], **settings)
        with open(log, "rb") as file:
            return result, file.read().count(b"(INJECTED)")

    def assert_truthful(self, result, contents, error=None, ordered=True):
        """Whatever went wrong, each file has its right line, or there is a message (for it or for a folder above it)
        and the status is 1; lines and messages stand in their places. `contents`: of each name, in the walk's order;
        `result` has stdout and stderr in one. Returns the names that have a line, and those that have a message."""
        names = list(contents)
        places = places_of(names)
        found = Found([], [])
        reached = 0
        for line in result.stdout.splitlines(keepends=True):
            if line.startswith(b"penstock: "):
                name, reason = line[len(b"penstock: "):-1].rsplit(b": ", 1)
                self.assertIn(reason.decode(), [os.strerror(error)] if error else REASONS)
                found.messages.append(name)
            else:
                name = line[66:-1]
                self.assertIn(name, contents)
                self.assertEqual(line, support.line(contents[name], name))
                found.names.append(name)
            self.assertIn(name, places, result.stdout)
            first, last = places[name]
            self.assertTrue(last >= reached or not ordered, result.stdout)
            reached = max(reached, first)
        for told in found:
            self.assertEqual(len(set(told)), len(told), result.stdout)
        self.assertEqual(set(found.names) & set(found.messages), set())
        for name in names:
            missed = any(name == message or name.startswith(message + b"/") for message in found.messages)
            self.assertTrue(missed or name in found.names, (name, result.stdout))
        self.assertEqual(result.returncode, 1 if found.messages else 0, result.stdout)
        return found


def places_of(names):
    """Where a line or message for each file and folder may stand: the first and last of the files that it covers."""
    places = {name: (place, place) for place, name in enumerate(names)}
    for name in names:
        above = os.path.dirname(name)
        while above and above not in places:
            inside = [place for place, other in enumerate(names) if other.startswith(above + b"/")]
            places[above] = (inside[0], inside[-1])
            above = os.path.dirname(above)
    return places


@functools.cache
def may_trace():
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def skip_unless_strace_works(test):
    """That strace is not installed is a failure, as nobody looks at what was skipped."""
    if shutil.which("strace") is None:
        test.fail("no strace: tools/deps.sh")
    if not may_trace():
        test.skipTest("needs the right to trace")

