# SPDX-License-Identifier: MIT
"""Files that change while they are read, and files that are not as large as they say."""
import itertools
import os
import signal
import subprocess

import faults
import running
import support

LONG_AGO = (10**9, 10**9)  # a change gets another time than this, however coarse the clock of the file system


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def shrink(path):
    os.truncate(path, 5000)


def clear(path):
    os.truncate(path, 0)


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(bytes(os.path.getsize(path)))


def touch(path):
    os.utime(path)


def append_and_restore_the_time(path):
    append(path)
    os.utime(path, LONG_AGO)


def append_and_restore_the_size(path):
    size = os.path.getsize(path)
    append(path)
    os.truncate(path, size)


def replace(path):
    with open(path + b".new", "wb") as file:
        file.write(b"quite another content")
    os.rename(path + b".new", path)


def move_away(path):
    os.rename(path, path + b".old")


def remove(path):
    os.remove(path)


def change_mode(path):
    os.chmod(path, 0o400)


def link(path):
    os.link(path, path + b".link")


def read(path):
    with open(path, "rb") as file:
        file.read()


class Changes(faults.FaultTest):
    """The program is stopped before one of the reads of tree/file, and something is done to the file meanwhile."""

    def setUp(self):
        super().setUp()
        self.contents = {b"tree/a": b"before", b"tree/file": os.urandom(10_000), b"tree/z": b"behind"}
        self.make_files()

    def make_files(self):
        support.remove(self.path(b"tree"))
        for name, content in self.contents.items():
            self.write(name, content)
            os.utime(self.path(name), LONG_AGO)

    def digest_while(self, change, number, *arguments, stdin="/dev/null"):
        """The outcome if the file changes before its read with this number; None if there are fewer reads."""
        self.make_files()
        rules = [faults.rule("read", "stop", first=number, name="file"),
                 faults.always("read", "short", 4096, name="file")]
        with open(stdin, "rb") as source:
            process = subprocess.Popen([support.BINARY, "digest", *arguments], cwd=self.folder, stdin=source,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=faults.preloading(self.root, self.path(b".struck"), rules))
        self.addCleanup(self.end, process)
        running.wait_until(lambda: running.state(process) in "TZ")
        stopped = running.state(process) == "T"
        if stopped:
            change(self.path(b"tree/file"))
            process.send_signal(signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=support.PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr) if stopped else None

    def at_each_read(self, changes, *arguments, check):
        """The outcome of each change, before the first read, the second, and so on to the last, passes a check."""
        for change in changes:
            for number in itertools.count(1):
                result = self.digest_while(change, number, *arguments)
                if result is None:
                    break
                with self.subTest(change=change.__name__, number=number):
                    check(result)
            self.assertGreater(number, 3)

    def lines_of(self, *names):
        return b"".join(support.line(self.contents[name], name) for name in names)

    def assert_noticed(self, result):
        self.assertEqual(result.stderr, b"penstock: tree/file: file changed as we read it\n")
        self.assertEqual(result.stdout, self.lines_of(b"tree/a", b"tree/z"))
        self.assertEqual(result.returncode, 1)

    def assert_not_noticed(self, result):
        self.assert_success(result, self.lines_of(*self.contents))

    def test_a_file_that_grows_shrinks_or_is_rewritten_meanwhile_gets_a_message_and_no_line(self):
        self.at_each_read([append, shrink, clear, rewrite], "-j1", b"tree", check=self.assert_noticed)

    def test_either_the_size_or_the_time_of_a_file_is_enough_to_notice_a_change(self):
        self.at_each_read([touch, append_and_restore_the_time, append_and_restore_the_size], b"tree",
                          check=self.assert_noticed)

    def test_a_change_is_noticed_however_the_file_was_found(self):
        os.symlink(b"tree", self.path(b"link"))
        self.write(b"names", b"tree/a\0tree/file\0tree/z")
        for arguments in [["-j4", b"tree"], ["--follow", b"tree"], [b"tree/a", b"tree/file", b"tree/z"],
                          ["--files0-from=names"], ["--limit=1", "--buffer=0", b"tree"]]:
            with self.subTest(arguments=arguments):
                self.assert_noticed(self.digest_while(rewrite, 2, *arguments))
        result = self.digest_while(rewrite, 2, "--unordered", b"tree")
        self.assertEqual(sorted(result.stdout.splitlines()), sorted(self.lines_of(b"tree/a", b"tree/z").splitlines()))
        self.assertEqual(result.stderr, b"penstock: tree/file: file changed as we read it\n")
        self.assertEqual(result.returncode, 1)

    def test_a_file_that_changes_as_stdin_gets_a_message_and_no_line(self):
        for change in [append, shrink, rewrite]:
            result = self.digest_while(change, 2, stdin=self.path(b"tree/file"))
            with self.subTest(change=change.__name__):
                self.assertEqual(result.stderr, b"penstock: -: file changed as we read it\n")
                self.assertEqual((result.stdout, result.returncode), (b"", 1))

    def test_a_file_that_changes_while_it_is_checked_fails_the_check(self):
        self.write(b"list", self.lines_of(*self.contents))
        for change in [append, shrink, rewrite]:
            result = self.digest_while(change, 2, "--check", "list")
            with self.subTest(change=change.__name__):
                self.assertEqual(result.stdout, b"tree/a: OK\ntree/file: FAILED open or read\ntree/z: OK\n")
                self.assertEqual(result.stderr, b"penstock: tree/file: file changed as we read it\n"
                                                b"penstock: WARNING: 1 listed file could not be read\n")
                self.assertEqual(result.returncode, 1)

    def test_what_happens_to_its_name_is_no_change_of_a_file_that_is_open(self):
        self.at_each_read([replace, move_away, remove], *self.contents, check=self.assert_not_noticed)

    def test_another_mode_link_or_reader_is_no_change(self):
        self.at_each_read([change_mode, link, read], "-j1", *self.contents, check=self.assert_not_noticed)

    def test_a_fifo_that_is_written_to_meanwhile_has_not_changed(self):
        os.mkfifo(self.path(b"fifo"))
        process = self.start_digest(b"fifo")
        with open(running.open_when_read(self.path(b"fifo")), "wb", buffering=0) as fifo:
            for _ in range(5):
                fifo.write(b"drop")
                os.utime(self.path(b"fifo"))
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (support.line(b"drop" * 5, b"fifo"), b""))


class Sizes(support.ToolTest):
    def test_files_that_do_not_have_the_size_they_claim_are_read_to_their_end(self):
        names = [b"/proc/version", b"/proc/filesystems", b"/proc/devices", b"/sys/kernel/btf/vmlinux",
                 b"/proc/sys/kernel/ostype", b"/sys/devices/system/cpu/possible", b"/sys/power/state",
                 b"/sys/kernel/mm/transparent_hugepage/enabled", b"/sys/kernel/notes", b"/sys/class/net/lo/address"]
        there = [name for name in names if os.access(name, os.R_OK)]
        self.assertGreater(len(there), 3)
        self.assert_same_as_sha256sum(*there)
        listed = self.write(b"list", self.sha256sum(*there).stdout)
        self.assert_success(self.digest("--check", listed), b"".join(name + b": OK\n" for name in there))

    def test_such_files_met_in_a_walk_are_read_to_their_end(self):
        for start in [b"/sys/devices/system/cpu/cpu0/topology", b"/proc/sys/fs/inotify"]:
            if os.path.isdir(start):
                names = support.files_below(b"/", start)
                self.assert_success(self.digest(start), self.sha256sum(*names).stdout)

    def test_such_a_file_that_can_not_be_read_is_reported_as_by_sha256sum(self):
        self.write(b"a")
        names = [b"/proc/self/mem", b"a", b"/sys/class/net/lo/speed", b"/sys/power/missing", b"a"]
        self.assert_as_sha256sum(*names)
