# SPDX-License-Identifier: MIT
"""Writes that fail: no line is lost without a message, which comes once, and status 1."""
import errno
import itertools
import os
import resource

import faults
import support
from faults import always, rule


class Writing(faults.FaultTest):
    def setUp(self):
        super().setUp()
        for number in range(40):
            self.write(b"tree/%02d" % number)
        self.lines = b"".join(support.line(b"tree/%02d" % number, b"tree/%02d" % number) for number in range(40))

    def written(self):
        with open(self.path(b"out"), "rb") as file:
            return file.read()

    def digest_into_file(self, *rules):
        with open(self.path(b"out"), "wb") as out:
            return self.digest_under(rules, b"tree", stdout=out)

    def test_interrupted_refused_and_short_writes_lose_nothing(self):
        for rules in [[rule("write", "error", errno.EINTR, 1, 2, name="out")],
                      [rule("write", "error", errno.EAGAIN, 1, 2, name="out")],
                      [always("write", "short", 1, name="out")],
                      [rule("write", "error", errno.EINTR, 3, 5, name="out"), always("write", "short", name="out")]]:
            with self.subTest(rules=rules):
                result, struck = self.digest_into_file(*rules)
                self.assertNotEqual(struck, [])
                self.assertEqual((result.stderr, result.returncode), (b"", 0))
                self.assertEqual(self.written(), self.lines)

    def test_a_write_that_fails_is_reported_once_and_ends_the_work(self):
        for error, number in itertools.product([errno.EIO, errno.ENOSPC, errno.EDQUOT], [1, 2, 7]):
            result, struck = self.digest_into_file(rule("write", "error", error, number, 1, name="out"),
                                                   always("write", "short", 500, name="out"))
            with self.subTest(error=error, number=number):
                self.assertIn(b"write out", struck)
                self.assertEqual(result.stderr, b"penstock: write error: " + os.strerror(error).encode() + b"\n")
                self.assertEqual(result.returncode, 1)
                self.assertTrue(self.lines.startswith(self.written()))
                self.assertNotEqual(self.written(), self.lines)

    def test_a_write_error_is_the_last_message_and_those_before_it_are_out(self):
        with open("/dev/full", "wb") as full:
            result = self.digest("missing", b"tree/00", "missing too", b"tree", stdout=full)
        messages = result.stderr.splitlines()
        self.assertEqual(messages[0], b"penstock: missing: No such file or directory")
        self.assertEqual(messages[-1], b"penstock: write error: No space left on device")
        self.assertEqual((messages.count(messages[-1]), result.returncode), (1, 1))

    def test_a_write_fails_as_well_if_the_kernel_says_so(self):
        # From outside, whichever way the program writes.
        for error in ["ENOSPC", "EIO"]:
            with open(self.path(b"out"), "wb") as out:
                result, _ = self.traced(["-e", f"inject=?write,?writev,?pwrite64:error={error}"], [b"out"],
                                        [support.BINARY, "digest", b"tree"], stdout=out)
            message = os.strerror(getattr(errno, error)).encode()
            self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: " + message + b"\n", 1))
        for error in ["EINTR", "EAGAIN"]:
            with open(self.path(b"out"), "wb") as out:
                result, struck = self.traced(["-e", f"inject=?write,?writev,?pwrite64:error={error}:when=1+2"],
                                             [b"out"], [support.BINARY, "digest", b"tree"], stdout=out)
            self.assertGreater(struck, 0)
            self.assertEqual((result.stderr, result.returncode, self.written()), (b"", 0, self.lines))

    def test_writes_that_fail_anywhere_in_the_program_do_not_keep_it_from_its_end(self):
        self.write(b"list", self.lines)
        good, names = b"".join(b"tree/%02d: OK\n" % number for number in range(40)), [b"missing", b"tree"]
        missing = b"penstock: missing: No such file or directory\n"
        for fault, arguments, output, messages in [
                ("EINTR:when=1+2", [b"tree"], self.lines, b""), ("EAGAIN:when=1+2", [b"tree"], self.lines, b""),
                ("EAGAIN:when=41+", [b"tree"], self.lines, b""), ("EIO:when=41+", names, self.lines, missing),
                ("EIO", [b"missing"], b"", missing), ("EIO:when=41+", ["-c", "list"], good, b""),
                ("EIO", ["-c", "--quiet", "list"], b"", b""), ("EIO", ["-c", "--status", "list"], b"", b"")]:
            with self.subTest(fault=fault, arguments=arguments):
                # strace would leave a program behind that hangs.
                command = ["timeout", "-s", "KILL", str(support.PATIENCE / 2), support.BINARY, "digest", *arguments]
                result, _ = self.traced(["-e", "trace=write", "-e", f"inject=write:error={fault}"], [], command)
                self.assertEqual((result.stdout, result.stderr), (output, messages))
                self.assertEqual(result.returncode, 1 if messages else 0)

    def test_an_error_that_only_the_close_of_stdout_tells_is_reported_as_by_sha256sum(self):
        # NFS and quotas tell so late that the disk is full.
        for program in [["sha256sum", b"tree/00"], [support.BINARY, "digest", b"tree/00"]]:
            for error in ["ENOSPC", "EIO", "EDQUOT"]:
                with open(self.path(b"out"), "wb") as out:
                    result, _ = self.traced(["-e", f"inject=close:error={error}"], [b"out"], program, stdout=out)
                message = b": write error: " + os.strerror(getattr(errno, error)).encode() + b"\n"
                self.assertTrue(result.stderr.endswith(message), (program, result.stderr))
                self.assertEqual(result.returncode, 1)

    def test_a_file_that_may_grow_no_more_is_a_write_error(self):
        def confine():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        with open(self.path(b"out"), "wb") as out:  # Python itself ignores the signal that comes with it
            result = self.digest(b"tree", stdout=out, preexec_fn=confine, restore_signals=False)
        self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: File too large\n", 1))
        self.assertEqual(self.written(), self.lines[:100])

    def test_messages_that_nobody_can_get_change_only_that(self):
        with open("/dev/full", "wb") as full:
            result = self.digest("missing", b"tree", stderr=full)
            self.assertEqual((result.stdout, result.returncode), (self.lines, 1))
            result = self.digest("--progress", b"tree", stderr=full)
            self.assertEqual((result.stdout, result.returncode), (self.lines, 0))

    def test_an_error_while_checking_ends_the_work_as_well(self):
        self.write(b"list", self.lines)
        with open("/dev/full", "wb") as full:
            result = self.digest("--check", "list", stdout=full)
        self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: No space left on device\n", 1))
