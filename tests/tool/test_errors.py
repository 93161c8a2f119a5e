# SPDX-License-Identifier: MIT
"""What can not be read: a message for each, status 1, and everything else is digested."""
import os
import re
import subprocess

import faults
import support


class Errors(support.ToolTest):
    def assert_as_sha256sum_but_for_the_name(self, *arguments, **settings):
        """Same lines, same messages, same status, only the program's name differs."""
        expected = self.sha256sum(*arguments, **settings)
        result = self.digest("--", *arguments, **settings)
        messages = re.sub(rb"^sha256sum: ", b"penstock: ", expected.stderr, flags=re.MULTILINE)
        self.assertEqual(result.stderr.splitlines(), messages.splitlines())
        self.assertEqual(result.stdout, expected.stdout)
        self.assertEqual((result.returncode, expected.returncode), (1, 1))

    def make_unreadable(self):
        for name in [b"tree/a", b"tree/b", b"tree/c/d", b"tree/e", b"tree/f/g"]:
            self.write(name)
        os.chmod(self.path(b"tree/b"), 0)
        os.chmod(self.path(b"tree/c"), 0)
        os.chmod(self.path(b"tree/f"), 0o111)  # may be entered, not listed
        self.addCleanup(os.chmod, self.path(b"tree/c"), 0o755)
        self.addCleanup(os.chmod, self.path(b"tree/f"), 0o755)

    def test_a_missing_file_is_reported_and_the_others_are_digested(self):
        self.write(b"a")
        self.write(b"b")
        self.assert_as_sha256sum_but_for_the_name(b"a", b"missing", b"b", b"", b"b/", b"a/b", b"x/y")

    def test_names_in_messages_are_quoted_as_sha256sum_quotes_them(self):
        names = [b"%cx" % byte for byte in range(1, 256)] + [b"x%c" % byte for byte in range(1, 256)]
        names += [b"'%c" % byte for byte in range(1, 256)] + [b"%c'" % byte for byte in range(1, 256)]
        names += [b"{", b"}", b"it's\"x", b"mis\nsing", b"\x1b[31mred\xff\xfe", "\u00e9t\u00e9\u4e2d".encode(), b"\xc3",
                  "a\u00e9\x01\u00e9".encode(), b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf",
                  b"a'\x01'b"]
        self.assert_as_sha256sum_but_for_the_name(*names)

    def test_a_dangling_link_and_a_loop_as_arguments_are_errors(self):
        os.symlink(b"nowhere", self.path(b"dangling"))
        os.symlink(b"loop", self.path(b"loop"))
        self.assert_as_sha256sum_but_for_the_name(b"dangling", b"loop")

    def test_a_name_that_is_too_long_is_an_error(self):
        self.assert_as_sha256sum_but_for_the_name(b"n" * 256, b"n/" * 3000)

    def test_an_unreadable_file_as_argument_is_reported_as_by_sha256sum(self):
        self.make_unreadable()
        self.assert_as_sha256sum_but_for_the_name(b"tree/a", b"tree/b", b"tree/c/d", b"tree/e",
                                                  **support.as_ordinary_user())

    def test_unreadable_files_and_folders_in_a_walk_are_reported_in_their_place(self):
        self.make_unreadable()
        result = self.digest(b"tree", stderr=subprocess.STDOUT, **support.as_ordinary_user())
        self.assertEqual(result.stdout.splitlines(), [
            support.line(b"tree/a", b"tree/a")[:-1],
            b"penstock: tree/b: Permission denied",
            b"penstock: tree/c: Permission denied",
            support.line(b"tree/e", b"tree/e")[:-1],
            b"penstock: tree/f: Permission denied",
        ])
        self.assertEqual(result.returncode, 1)

    def test_an_unreadable_folder_as_argument_is_reported(self):
        self.make_unreadable()
        result = self.digest(b"tree/c", b"tree/a", **support.as_ordinary_user())
        self.assertEqual(result.stderr, b"penstock: tree/c: Permission denied\n")
        self.assertEqual(result.stdout, support.line(b"tree/a", b"tree/a"))
        self.assertEqual(result.returncode, 1)

    def test_a_file_that_can_be_opened_but_not_read_is_reported(self):
        self.write(b"a")
        self.assert_as_sha256sum_but_for_the_name(b"/proc/self/mem", b"a")

    def test_messages_come_in_the_order_of_the_walk(self):
        names = [b"missing %d" % number for number in range(500)]
        for name in names[::3]:
            self.write(name)
        result = self.digest(*names, stderr=subprocess.STDOUT)
        expected = [support.line(name, name)[:-1] if number % 3 == 0
                    else b"penstock: '" + name + b"': No such file or directory" for number, name in enumerate(names)]
        self.assertEqual(result.stdout.splitlines(), expected)

    def test_a_closed_stderr_changes_only_that_nobody_is_told(self):
        self.write(b"a")
        result = self.run_program(["sh", "-c", 'exec "$0" digest missing a 2>&-', support.BINARY])
        self.assertEqual((result.stdout, result.returncode), (support.line(b"a", b"a"), 1))


class Races(support.ToolTest):
    """The program is held up by a full pipe, so that it has read a folder's names and not opened the last of them."""
    tracer = []

    def setUp(self):
        super().setUp()
        self.names = [b"tree/a/%03d" % number + b"-" * 150 for number in range(300)]
        for name in self.names:
            self.write(name)
        self.write(b"tree/z/old")
        read_end, write_end = support.small_pipe()
        environment = support.environment()
        environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # that traces, too
        self.running = subprocess.Popen(
            [*self.tracer, support.BINARY, "digest", "-j", "1", "--limit", "1", b"tree"], cwd=self.folder,
            env=environment, stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE)
        self.addCleanup(self.end, self.running)
        os.close(write_end)
        self.output = open(read_end, "rb")
        self.addCleanup(self.output.close)
        support.wait_until_stalled(self.output)

    def outcome(self):
        lines = self.output.read().splitlines(keepends=True)
        _, messages = self.running.communicate(timeout=support.PATIENCE)
        return lines, messages, self.running.returncode

    def expected(self, *without):
        return [support.line(name, name) for name in self.names + [b"tree/z/old"] if name not in without]

    def test_a_folder_is_not_read_before_its_turn(self):
        self.write(b"tree/z/new", b"written after the first lines were out")
        lines, messages, status = self.outcome()
        new = support.line(b"written after the first lines were out", b"tree/z/new")
        self.assertEqual(lines, self.expected()[:-1] + [new] + self.expected()[-1:])
        self.assertEqual((messages, status), (b"", 0))

    def test_a_file_that_vanishes_is_an_error_for_that_file_only(self):
        os.remove(self.path(self.names[-1]))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(self.names[-1]))
        self.assertEqual(messages, b"penstock: " + self.names[-1] + b": No such file or directory\n")
        self.assertEqual(status, 1)

    def test_a_folder_that_vanishes_is_an_error_for_that_folder_only(self):
        os.rename(self.path(b"tree/z"), self.path(b"elsewhere"))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(b"tree/z/old"))
        self.assertEqual((messages, status), (b"penstock: tree/z: No such file or directory\n", 1))

    def test_a_file_that_becomes_a_fifo_is_passed_over_and_does_not_block(self):
        os.remove(self.path(self.names[-1]))
        os.mkfifo(self.path(self.names[-1]))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(self.names[-1]))
        self.assertEqual((messages, status), (b"", 0))

    def test_a_file_that_becomes_a_link_is_not_followed(self):
        self.write(b"secret")
        os.remove(self.path(self.names[-1]))
        os.symlink(b"../../secret", self.path(self.names[-1]))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(self.names[-1]))
        self.assertEqual(messages, b"penstock: " + self.names[-1] + b": Too many levels of symbolic links\n")
        self.assertEqual(status, 1)

    def test_a_folder_that_becomes_a_link_is_not_followed(self):
        self.write(b"outside/secret")
        os.rename(self.path(b"tree/z"), self.path(b"elsewhere"))
        os.symlink(b"../outside", self.path(b"tree/z"))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(b"tree/z/old"))
        self.assertRegex(messages, rb"^penstock: tree/z: (Not a directory|Too many levels of symbolic links)\n$")
        self.assertEqual(status, 1)

    def test_a_file_that_becomes_a_folder_is_an_error(self):
        os.remove(self.path(self.names[-1]))
        os.mkdir(self.path(self.names[-1]))
        lines, messages, status = self.outcome()
        self.assertEqual(lines, self.expected(self.names[-1]))
        self.assertEqual(messages, b"penstock: " + self.names[-1] + b": Is a directory\n")
        self.assertEqual(status, 1)

    def test_a_folder_on_the_way_that_becomes_a_link_is_not_followed(self):
        os.rename(self.path(b"tree/a"), self.path(b"elsewhere"))
        os.symlink(b"../elsewhere", self.path(b"tree/a"))
        lines, messages, status = self.outcome()
        printed = len(lines) - 1  # those that had been opened in time, and the one in the next folder
        self.assertEqual(lines, self.expected(*self.names[printed:]))
        reported = [message.split(b": ")[1] for message in messages.splitlines()]
        self.assertEqual(reported, self.names[printed:])
        self.assertNotIn(self.names[-1], self.names[:printed])
        self.assertEqual(status, 1)


class RacesWithoutOpenat2(Races):
    """As on old kernels, and in container sandboxes that refuse it."""
    tracer = ["strace", "-f", "--quiet=all", "-o", "/dev/null", "-e", "trace=openat2", "-e",
              "inject=openat2:error=ENOSYS", "--"]

    def setUp(self):
        faults.skip_unless_strace_works(self)
        super().setUp()
