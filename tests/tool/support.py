# SPDX-License-Identifier: MIT
"""What the tests share: the program, a folder for each test, and the reference."""
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

BINARY = ""
PATIENCE = 300  # seconds until a program that does not end counts as hanging, on however busy a machine
ORDINARY_USER = 65534


@contextlib.contextmanager
def prepared(binary):
    """Puts a copy of the program where every user may run it; one that is tied to its place is used as it is."""
    global BINARY
    os.umask(0o022)
    # Root's folder for temporary files may be one that nobody else can enter.
    folder = tempfile.mkdtemp(prefix="penstock-tool-", dir="/tmp" if os.geteuid() == 0 else None)
    try:
        os.chmod(folder, 0o755)
        BINARY = shutil.copy(os.path.abspath(binary), os.path.join(folder, "penstock"))
        if not runs(BINARY):
            BINARY = os.path.abspath(binary)
        tempfile.tempdir = folder
        yield
    finally:
        tempfile.tempdir = None
        remove(folder)


def runs(binary):
    try:
        return subprocess.run([binary, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:  # a file system from which nothing may be run
        return False


def new_folder():
    """Its path has no link in it, as has the path by which the kernel knows a file in it."""
    folder = os.path.realpath(os.fsencode(tempfile.mkdtemp()))
    os.chmod(folder, 0o755)
    return folder


def remove(folder):
    # rm and not shutil.rmtree(): it also removes trees that are thousands of levels deep.
    subprocess.run(["rm", "-rf", "--", folder], check=True)


def environment():
    # How sha256sum quotes names in its messages depends on the locale.
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def as_ordinary_user():
    """Arguments of subprocess.run() for a user whom file permissions bind."""
    if os.geteuid() != 0:
        return {}
    return {"user": ORDINARY_USER, "group": ORDINARY_USER, "extra_groups": []}


class ToolTest(unittest.TestCase):
    """A test with an empty working folder of its own. All names are bytes."""
    maxDiff = 2000

    def setUp(self):
        self.folder = new_folder()
        self.addCleanup(remove, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content=None):
        """Makes a file, and the folders above it. Its content is its name unless it is given."""
        write_file(self.path(name), name if content is None else content)
        return name

    def run_program(self, command, **settings):
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                    "cwd": self.folder, "env": environment(), "timeout": PATIENCE, **settings}
        if "input" in settings:
            del settings["stdin"]
        return subprocess.run(command, check=False, **settings)

    def penstock(self, *arguments, **settings):
        return self.run_program([BINARY, *arguments], **settings)

    def digest(self, *arguments, **settings):
        return self.penstock("digest", *arguments, **settings)

    def start_digest(self, *arguments, **settings):
        """The running program, whose output the test reads while it runs."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                    "cwd": self.folder, "env": environment(), **settings}
        running = subprocess.Popen([BINARY, "digest", *arguments], **settings)
        self.addCleanup(self.end, running)
        return running

    def start_watched(self, *arguments, **settings):
        """A running program that is ended if it keeps the test waiting for its output."""
        running = self.start_digest(*arguments, **settings)
        watchdog = threading.Timer(PATIENCE, running.kill)
        watchdog.start()
        self.addCleanup(watchdog.cancel)
        return running

    @staticmethod
    def end(running):
        if running.poll() is None:
            running.kill()
        running.communicate()

    def sha256sum(self, *names, **settings):
        return self.run_program(["sha256sum", "--", *names], **settings)

    def assert_success(self, result, output):
        """Compares line by line, so that a failure shows the line that differs."""
        self.assertEqual(result.stderr, b"")
        self.assertEqual(result.stdout.split(b"\n"), output.split(b"\n"))
        self.assertEqual(result.returncode, 0)

    def assert_as_sha256sum(self, *arguments, **settings):
        """Same lines, same messages but for the program's name, same status. Returns the program's result."""
        expected = self.run_program(["sha256sum", *arguments], **settings)
        result = self.digest(*arguments, **settings)
        if expected.stderr is None:  # the messages are among the lines
            self.assertEqual(result.stdout.split(b"\n"), in_our_name(expected.stdout).split(b"\n"))
        else:
            self.assertEqual(result.stdout.split(b"\n"), expected.stdout.split(b"\n"))
            self.assertEqual(result.stderr.split(b"\n"), in_our_name(expected.stderr).split(b"\n"))
        self.assertEqual(result.returncode, expected.returncode)
        return result

    def assert_input_read_as_needed(self, *arguments, record, line, count):
        """While nobody takes the lines, the program soon stops to take in the records that they are for."""
        output, write_end = small_pipe()
        running = self.start_watched(*arguments, stdin=subprocess.PIPE, stdout=write_end)
        os.close(write_end)
        records, running.stdin = running.stdin, None
        written = 0
        shown = threading.Event()

        def feed():
            nonlocal written
            with contextlib.suppress(BrokenPipeError), records:
                while written < count and not shown.is_set():
                    records.write(record * 100)
                    written += 100
        feeder = threading.Thread(target=feed)
        feeder.start()
        with open(output, "rb") as lines:
            wait_until_stalled(lines)
            before = -1
            while before != written:
                before = written
                time.sleep(0.3)
            self.assertLess(written, count / 5)
            shown.set()  # the rest of the records would take long
            taken = lines.read()
        feeder.join()
        self.assertEqual(taken, written * line)
        self.assertEqual((running.stderr.read(), running.wait(PATIENCE)), (b"", 0))

    def assert_same_as_sha256sum(self, *names):
        expected = self.sha256sum(*names)
        self.assertEqual(expected.stderr, b"")
        self.assert_success(self.digest("--", *names), expected.stdout)


def in_our_name(messages, program=b"sha256sum"):
    """Messages of another program as penstock digest gives them."""
    messages = re.sub(rb"^" + program + rb": ", b"penstock: ", messages, flags=re.MULTILINE)
    return messages.replace(b"'" + program + b" --help'", b"'penstock digest --help'")


def write_file(path, content):
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path))
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with open(number, "wb", buffering=0) as file:
        file.write(content)


def files_below(folder, start):
    """What a walk of `start` comes to, in its order; a second statement of that order, recursive and plain."""
    found = []
    with os.scandir(os.path.join(folder, start)) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        path = start + entry.name if start.endswith(b"/") else start + b"/" + entry.name
        if entry.is_dir(follow_symlinks=False):
            found += files_below(folder, path)
        elif entry.is_file(follow_symlinks=False):
            found.append(path)
    return found


def line(content, name):
    """The line for a name that needs no escaping."""
    return hashlib.sha256(content).hexdigest().encode() + b"  " + name + b"\n"


def small_pipe():
    """A pipe that holds 4,096 bytes, so that a program soon waits for its reader: (read end, write end)."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], 1031, 4096)  # F_SETPIPE_SZ
    return ends


def waiting_in(number):
    """How many bytes can be read from a pipe or terminal at the moment."""
    return struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, bytes(4)))[0]


def wait_until_stalled(pipe):
    """Returns when a pipe has something in it and no more has come for a while."""
    end = time.monotonic() + PATIENCE
    before, since = -1, time.monotonic()
    while time.monotonic() < end:
        waiting = waiting_in(pipe)
        if waiting != before:
            before, since = waiting, time.monotonic()
        elif waiting > 0 and time.monotonic() - since > 0.3:
            return
        time.sleep(0.01)
    raise TimeoutError("the output never stalled")
