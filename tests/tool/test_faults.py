# SPDX-License-Identifier: MIT
"""Reads and opens that fail: never a wrong digest, never a missing one without a message and status 1."""
import errno
import itertools
import os
import subprocess
import time

import faults
import support
from faults import always, rule

EVERY_WAY = [["-j1", "--limit=1"], ["-j4"], ["--unordered", "-j4"]]


class Reading(faults.FaultTest):
    def setUp(self):
        super().setUp()
        self.contents = {b"tree/a": b"some bytes", b"tree/b/c": os.urandom(300_000), b"tree/b/d": b"",
                         b"tree/b/e/f": os.urandom(4096), b"tree/g": b"x" * 131_072, b"tree/h": b"the last"}
        for name, content in self.contents.items():
            self.write(name, content)

    def all_lines(self, start=b"tree"):
        return b"".join(support.line(content, name) for name, content in self.contents.items()
                        if name.startswith(start))

    def digest_one_fault(self, fault, options, error):
        """Checks the result of a run. Returns whether the fault came to pass in it."""
        result, struck = self.digest_under([fault], *options, b"tree", stderr=subprocess.STDOUT)
        with self.subTest(fault=fault, struck=struck, options=options):
            found = self.assert_truthful(result, self.contents, error, ordered="--unordered" not in options)
            self.assertLessEqual(len(found.messages), len(struck))
        return bool(struck)

    def sweep(self, call, errors, at_least):
        """Makes the first call fail, then the second, and so on, until a run has fewer than that."""
        for error, options in itertools.product(errors, EVERY_WAY):
            # What failed to be asked about a file may show only in what is done with it then, and be reported so.
            told = None if call == "stat" else error
            for number in itertools.count(1):
                if not self.digest_one_fault(rule(call, "error", error, number), options, told):
                    break
            self.assertGreater(number, at_least)

    def test_whichever_read_fails_no_digest_is_wrong(self):
        self.sweep("read", [errno.EIO, errno.EAGAIN], at_least=10)

    def test_whichever_open_fails_no_digest_is_wrong(self):
        self.sweep("open", [errno.EMFILE, errno.ENOMEM], at_least=9)

    def test_whichever_stat_fails_no_digest_is_wrong(self):
        self.sweep("stat", [errno.EIO], at_least=5)

    def test_wherever_reading_a_folder_fails_no_file_is_missing_without_a_message(self):
        self.sweep("list", [errno.EIO, errno.ENOMEM], at_least=10)

    def test_a_close_that_fails_does_not_matter_to_what_was_read(self):
        for error, number in itertools.product([errno.EIO, errno.EINTR], range(1, 8)):
            result, struck = self.digest_under([rule("close", "error", error, number, 3)], b"tree")
            self.assertNotEqual(struck, [])
            self.assert_success(result, self.all_lines())

    def test_whichever_system_call_fails_no_digest_is_wrong(self):
        # From outside, so that also those calls fail that the C library makes.
        paths = [os.path.dirname(name) for name in self.contents] + list(self.contents)
        command = [support.BINARY, "digest", "-j1", "--limit=1", b"tree"]
        for calls, error in [("getdents64", "EIO"), ("openat,openat2", "ENFILE"), ("read,pread64", "EIO"),
                             ("fstat,newfstatat,statx", "ENOMEM")]:
            for number in itertools.count(1):
                inject = f"inject=?{calls.replace(',', ',?')}:error={error}:when={number}"
                result, struck = self.traced(["-e", inject], paths, command, stderr=subprocess.STDOUT)
                if struck == 0:
                    break
                with self.subTest(inject=inject):
                    self.assert_truthful(result, self.contents)
            self.assertGreater(number, 3)

    def test_a_read_that_is_interrupted_is_done_again(self):
        for every in [1, 2, 3]:
            for options in EVERY_WAY[:2]:
                rules = [rule("read", "error", errno.EINTR, number, 4) for number in range(1, every + 1)]
                result, struck = self.digest_under(rules, *options, b"tree")
                self.assertGreater(len(struck), 3)
                self.assert_success(result, self.all_lines())

    def test_an_open_that_is_interrupted_is_done_again(self):
        for first in [1, 2]:
            result, struck = self.digest_under([rule("open", "error", errno.EINTR, first, 2)], b"tree", b"tree/b/c")
            self.assertGreater(len(struck), 5)
            self.assert_success(result, self.all_lines() + self.all_lines(b"tree/b/c"))

    def test_short_reads_change_no_digest(self):
        self.contents[b"tree/b/c"] = self.contents[b"tree/b/c"][:5000]
        self.contents[b"tree/g"] = b"x" * 5000
        for name in [b"tree/b/c", b"tree/g"]:
            self.write(name, self.contents[name])
        for most in [1, 7, 4095]:
            result, struck = self.digest_under([always("read", "short", most)], "-j4", b"tree")
            self.assertNotEqual(struck, [])
            self.assert_success(result, self.all_lines())

    def test_reads_of_random_size_with_interruptions_change_no_digest(self):
        for _ in range(5):
            rules = [rule("read", "error", errno.EINTR, 2, 3), always("read", "short")]
            result, struck = self.digest_under(rules, "-j4", b"tree", "tree/b")
            self.assertNotEqual(struck, [])
            self.assert_success(result, self.all_lines() + self.all_lines(b"tree/b/"))

    def test_a_read_that_ends_before_the_file_does_gives_no_wrong_digest(self):
        # Some network file systems have answered so. What is missing shows in the size of the file.
        for options in EVERY_WAY:
            for number in itertools.count(1):
                result, struck = self.digest_under([rule("read", "end", 0, number, name="c")], *options, b"tree",
                                                   stderr=subprocess.STDOUT)
                self.assert_truthful(result, self.contents, ordered="--unordered" not in options)
                if not struck:
                    break
            self.assertGreater(number, 3)

    def test_a_file_that_cannot_be_read_costs_only_its_own_line(self):
        for name in [b"a", b"c", b"h"]:
            result, struck = self.digest_under([always("read", "error", errno.EIO, os.fsdecode(name))], b"tree",
                                               stderr=subprocess.STDOUT)
            self.assertNotEqual(struck, [])
            found = self.assert_truthful(result, self.contents, errno.EIO)
            self.assertEqual([os.path.basename(message) for message in found.messages], [name])

    def test_when_no_file_can_be_opened_each_is_reported_and_the_work_ends(self):
        for error in [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EAGAIN]:
            for options in EVERY_WAY:
                rules = [always("open", "error", error, os.path.basename(name).decode()) for name in self.contents]
                result, _ = self.digest_under(rules, *options, b"tree", stderr=subprocess.STDOUT)
                found = self.assert_truthful(result, self.contents, error, ordered="--unordered" not in options)
                self.assertEqual(sorted(found.messages), sorted(self.contents))

    def test_a_file_that_keeps_asking_to_try_again_is_an_error(self):
        # Archive file systems do so if a file is on tape and was opened with O_NONBLOCK; waiting with poll() does not
        # help, as files are always ready for that.
        rules = [always("read", "error", errno.EAGAIN, "g")]
        result, _ = self.digest_under(rules, b"tree", stderr=subprocess.STDOUT, timeout=support.PATIENCE)
        found = self.assert_truthful(result, self.contents, errno.EAGAIN)
        self.assertEqual(found.messages, [b"tree/g"])

    def test_a_kernel_or_sandbox_without_openat2_gives_the_same_lines(self):
        for error in ["ENOSYS", "EPERM"]:
            result, struck = self.traced(["-e", f"inject=openat2:error={error}"], [],
                                         [support.BINARY, "digest", b"tree"])
            self.assertGreater(struck, 0)
            self.assert_success(result, self.all_lines())

    def test_a_slow_file_holds_up_the_order_and_not_the_others(self):
        slow = self.all_lines(b"tree/a")
        others = [line for line in self.all_lines().splitlines(keepends=True) if line != slow]
        for options in [[], ["--unordered"]]:
            with self.subTest(options=options):
                process = self.start_holding([b"a"], "-j2", *options, b"tree")
                early = [process.stdout.readline() for _ in others] if options else []
                self.release()
                rest = process.stdout.read()
                if options:
                    self.assertEqual((sorted(early), rest), (sorted(others), slow))
                else:
                    self.assertEqual(rest, self.all_lines())
                self.assertEqual((process.stderr.read(), process.wait(support.PATIENCE)), (b"", 0))


class Streams(faults.FaultTest):
    def test_stdin_that_fails_is_reported_and_the_others_are_digested(self):
        self.write(b"in", b"x" * 300_000)
        self.write(b"a")
        for number in [1, 2]:
            with open(self.path(b"in"), "rb") as stdin:
                result, struck = self.digest_under([rule("read", "error", errno.EIO, number, name="in")],
                                                   "a", "-", "a", stdin=stdin)
            self.assertEqual(struck, [b"read in"])
            self.assertEqual(result.stdout, 2 * support.line(b"a", b"a"))
            self.assertEqual((result.stderr, result.returncode), (b"penstock: -: Input/output error\n", 1))

    def test_stdin_in_pieces_and_with_interruptions_is_read_to_its_end(self):
        content = os.urandom(20_000)
        self.write(b"in", content)
        with open(self.path(b"in"), "rb") as stdin:
            rules = [rule("read", "error", errno.EINTR, 1, 3, name="in"), always("read", "short", 0, name="in")]
            result, _ = self.digest_under(rules, stdin=stdin)
        self.assert_success(result, support.line(content, b"-"))

    def test_a_pipe_that_does_not_block_is_waited_for(self):
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        process = self.start_digest(stdin=read_end)
        os.close(read_end)
        with open(write_end, "wb", buffering=0) as pipe:
            for _ in range(3):
                time.sleep(0.05)
                pipe.write(b"drop")
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (support.line(b"drop" * 3, b"-"), b""))
        self.assertEqual(process.returncode, 0)

    def test_a_list_of_names_in_pieces_and_with_interruptions_is_read_to_its_end(self):
        names = [self.write(b"file %d" % number) for number in range(30)]
        self.write(b"list", b"\0".join(names))
        rules = [rule("read", "error", errno.EINTR, 1, 3, name="list"), always("read", "short", 1, name="list")]
        result, struck = self.digest_under(rules, "--files0-from=list")
        self.assertGreater(len(struck), 30)
        self.assert_success(result, b"".join(support.line(name, name) for name in names))

    def test_a_list_of_names_that_fails_is_reported_and_no_name_is_taken_by_half(self):
        content = b"abcd\0abc\0ab\0a"
        for name in content.split(b"\0"):
            self.write(name)
        self.write(b"list", content)
        for number in range(1, len(content) + 2):
            rules = [rule("read", "error", errno.EIO, number, name="list"), always("read", "short", 1, name="list")]
            result, _ = self.digest_under(rules, "--files0-from=list")
            whole = content[:number - 1].split(b"\0")[:-1]
            with self.subTest(number=number):
                self.assertEqual(result.stdout, b"".join(support.line(name, name) for name in whole))
                self.assertEqual(result.stderr, b"penstock: list: read error: Input/output error\n")
                self.assertEqual(result.returncode, 1)


class Checking(faults.FaultTest):
    def setUp(self):
        super().setUp()
        self.names = [self.write(name) for name in [b"a", b"ab", b"abc"]]
        self.list = self.write(b"list", b"".join(support.line(name, name) for name in self.names))

    def assert_as_sha256sum_under(self, calls, error, path, *options):
        injection = f"inject=?{calls.replace(',', ',?')}:error={error}"
        outcomes = []
        for program in [["sha256sum"], [support.BINARY, "digest"]]:
            result, struck = self.traced(["-e", injection], [path], [*program, "--check", *options, "list"])
            self.assertGreater(struck, 0)
            outcomes.append((result.stdout, support.in_our_name(result.stderr), result.returncode))
        with self.subTest(injection=injection, options=options):
            self.assertEqual(outcomes[1], outcomes[0])

    def test_a_listed_file_that_cannot_be_read_is_reported_as_by_sha256sum(self):
        for options in [[], ["--quiet"], ["--status"], ["--ignore-missing"], ["--strict", "--warn"]]:
            self.assert_as_sha256sum_under("read,pread64", "EIO", b"ab", *options)
            self.assert_as_sha256sum_under("openat,openat2", "EMFILE", b"ab", *options)

    def test_a_list_that_cannot_be_read_is_reported_as_by_sha256sum(self):
        self.assert_as_sha256sum_under("read,pread64", "EIO", b"list")
        self.assert_as_sha256sum_under("openat,openat2", "EMFILE", b"list")

    def test_a_list_that_fails_half_way_is_reported_and_no_line_is_taken_by_half(self):
        whole = 64 + 2 + 1 + 1
        for length in [1, 64, 66, 67, 68, whole + 67, whole + 68, 2 * whole + 68, 2 * whole + 69]:
            rules = [rule("read", "short", length, name="list"), rule("read", "error", errno.EIO, name="list")]
            result, struck = self.digest_under(rules, "--check", "list")
            with self.subTest(length=length):
                self.assertEqual(len(struck), 2)
                self.assertEqual(result.stderr, b"penstock: list: read error\n")
                self.assertNotIn(b"FAILED", result.stdout)
                self.assertEqual(result.returncode, 1)

    def test_short_and_interrupted_reads_change_no_verdict(self):
        rules = [rule("read", "error", errno.EINTR, 1, 3), always("read", "short", 1)]
        result, struck = self.digest_under(rules, "--check", "list")
        self.assertGreater(len(struck), 200)
        self.assert_success(result, b"a: OK\nab: OK\nabc: OK\n")

    def test_a_listed_file_that_fails_half_way_is_reported(self):
        rules = [rule("read", "short", 1, name="abc"), rule("read", "error", errno.EIO, name="abc")]
        result, _ = self.digest_under(rules, "--check", "list")
        self.assertEqual(result.stdout, b"a: OK\nab: OK\nabc: FAILED open or read\n")
        self.assertEqual(result.stderr, b"penstock: abc: Input/output error\n"
                                        b"penstock: WARNING: 1 listed file could not be read\n")
        self.assertEqual(result.returncode, 1)
