# SPDX-License-Identifier: MIT
"""digest --check: for every list the lines, the messages and the status of sha256sum --check."""
import hashlib
import itertools
import os
import random
import subprocess
import threading

import support
import test_lines
from running import open_when_read

NO_DIGEST = b"0" * 64
NAMES = [b"a", b"b", b" a", b"  a", b"*a", b"\ta", b"a ", b"a\r", b"a)", b"a) = x", b"a b", b"(", b")", b"=", b" ",
         b"*", b"#c", b"-", b"n\nl", b"b\\s", b"b\\s\nq", b"c\rd\ne", b"\\", b"SHA256"]
CHECK_OPTIONS = ["--quiet", "--status", "--ignore-missing", "--strict", "--warn"]


def digest_of(content):
    return hashlib.sha256(content).hexdigest().encode()


A, B = digest_of(b"a"), digest_of(b"b")
GOOD = A + b"  a\n"
WRONG = NO_DIGEST + b"  a\n"
MISSING = NO_DIGEST + b"  gone\n"
MALFORMED = b"no checksum\n"
STANDARD = GOOD
REVERSED = B + b" b\n"


class CheckTest(support.ToolTest):
    """A folder with a file for each of NAMES, whose content is its name."""

    def setUp(self):
        super().setUp()
        for name in NAMES:
            self.write(name)

    def assert_checked_as_sha256sum(self, *arguments, **settings):
        """`list` is what comes on stdin."""
        if "list" in settings:
            settings["input"] = settings.pop("list")
        return self.assert_as_sha256sum("--check", *arguments, **settings)

    def assert_each_checked_as_sha256sum(self, *lists):
        for content in lists:
            with self.subTest(list=content):
                self.assert_checked_as_sha256sum("--warn", list=content)


class Results(CheckTest):
    def test_a_file_that_has_its_digest_is_ok(self):
        result = self.assert_checked_as_sha256sum(list=A + b"  a\n" + B + b"  b\n")
        self.assertEqual((result.stdout, result.returncode), (b"a: OK\nb: OK\n", 0))

    def test_a_file_that_has_another_digest_is_failed(self):
        result = self.assert_checked_as_sha256sum(list=A + b"  b\n" + A + b"  a\n")
        self.assertEqual((result.stdout, result.returncode), (b"b: FAILED\na: OK\n", 1))

    def test_what_can_not_be_read_is_told_twice(self):
        os.symlink(b"nowhere", self.path(b"dangling"))
        os.symlink(b"loop", self.path(b"loop"))
        names = [b"gone", b".", b"dangling", b"loop", b"a/x", b"a/", b"n" * 256, b"n/" * 3000, b"/proc/self/mem",
                 b"g one", b"it's", b"\xff\x1b", b"g\rone", "\u00e9".encode(), b"\xc3"]
        lines = b"".join(NO_DIGEST + b"  " + name + b"\n" for name in names)
        for options in [[], ["--ignore-missing"], ["--quiet"], ["--status"]]:
            with self.subTest(options=options):
                self.assert_checked_as_sha256sum(*options, list=lines + GOOD)

    def test_each_kind_of_unreadable_name_alone_counts_as_with_sha256sum(self):
        os.symlink(b"nowhere", self.path(b"dangling"))
        for line in [b"SHA256 () = " + NO_DIGEST] + [NO_DIGEST + b"  " + name for name in [b"gone", b".", b"dangling",
                                                                                           b"a/x"]]:
            with self.subTest(line=line):
                self.assert_checked_as_sha256sum("--ignore-missing", list=line + b"\n")

    def test_a_file_without_permission_is_reported(self):
        os.chmod(self.path(b"b"), 0)
        for options in [[], ["--ignore-missing"], ["--status"]]:
            with self.subTest(options=options):
                result = self.assert_checked_as_sha256sum(*options, list=B + b"  b\n" + GOOD,
                                                          **support.as_ordinary_user())
                self.assertEqual(result.returncode, 1)

    def test_a_link_is_followed(self):
        os.symlink(b"a", self.path(b"link"))
        self.assert_checked_as_sha256sum(list=A + b"  link\n")

    def test_counts_are_told_in_singular_and_plural(self):
        for count in [1, 2, 3]:
            for line in [WRONG, MISSING, MALFORMED]:
                with self.subTest(count=count, line=line):
                    self.assert_checked_as_sha256sum(list=GOOD + line * count)
        self.assert_checked_as_sha256sum(list=GOOD + WRONG * 2 + MISSING + MALFORMED * 5)

    def test_a_device_and_files_of_proc_are_read(self):
        names = [b"/dev/null", b"/proc/version", b"/dev/null"]
        self.assert_checked_as_sha256sum(list=self.sha256sum(*names).stdout)

    def test_fifos_named_in_a_list_are_read_when_their_turn_comes(self):
        names = [b"fifo%d" % number for number in range(6)]
        for name in names:
            os.mkfifo(self.path(name))
        running = self.start_digest("-c", "-j", "2", stdin=subprocess.PIPE)

        def fill(name):
            with open(open_when_read(self.path(name)), "wb") as fifo:
                fifo.write(name)
        writers = [threading.Thread(target=fill, args=[name]) for name in reversed(names)]
        for writer in writers:
            writer.start()
        lines = GOOD + b"".join(support.line(name, name) + GOOD for name in names)
        expected = b"a: OK\n" + b"".join(name + b": OK\na: OK\n" for name in names)
        self.assertEqual(running.communicate(lines, timeout=support.PATIENCE), (expected, b""))
        self.assertEqual(running.returncode, 0)
        for writer in writers:
            writer.join()


class Options(CheckTest):
    LISTS = [
        GOOD, GOOD + MALFORMED, GOOD + MISSING, WRONG, MISSING, MALFORMED,
        GOOD + MALFORMED + WRONG + MISSING + NO_DIGEST + b"  .\n" + MALFORMED + B + b"  b\n",
    ]

    def test_every_combination_of_options_gives_what_sha256sum_gives(self):
        for count in range(len(CHECK_OPTIONS) + 1):
            for options in itertools.combinations(CHECK_OPTIONS, count):
                for content in self.LISTS:
                    with self.subTest(options=options, list=content):
                        self.assert_checked_as_sha256sum(*options, list=content)

    def test_of_quiet_status_and_warn_the_last_one_counts(self):
        three = ["--quiet", "--status", "--warn"]
        for options in [*itertools.permutations(three, 2), *itertools.permutations(three, 3),
                        ["--quiet", "-w", "--status", "-w"]]:
            with self.subTest(options=options):
                self.assert_checked_as_sha256sum(*options, list=self.LISTS[-1])

    def test_options_of_the_work_do_not_change_what_is_told(self):
        for options in [["-j1", "--limit=1", "--buffer=0"], ["-j8", "--limit=2"], ["-j", "4", "--buffer", "1000"]]:
            with self.subTest(options=options):
                for choice in [[], ["--quiet"], ["--warn"], ["--status"], ["--ignore-missing"]]:
                    expected = self.run_program(["sha256sum", "-c", *choice], input=self.LISTS[-1])
                    result = self.digest("-c", *options, *choice, input=self.LISTS[-1])
                    self.assertEqual(result.stdout, expected.stdout)
                    self.assertEqual(result.stderr, support.in_our_name(expected.stderr))
                    self.assertEqual(result.returncode, expected.returncode)

    def test_options_may_follow_the_lists(self):
        self.write(b"list", self.LISTS[-1])
        for arguments in [["list", "--quiet"], ["list", "-w", "--strict"], ["--", "list"], ["--ign", "list", "--str"]]:
            with self.subTest(arguments=arguments):
                self.assert_checked_as_sha256sum(*arguments)
        self.assert_checked_as_sha256sum("--", "-c")

    def test_names_from_a_file_can_not_be_combined_with_check(self):
        self.write(b"names", b"a\0")
        result = self.digest("--check", "--files0-from=names")
        self.assertEqual((result.stdout, result.returncode), (b"", 1))
        self.assertRegex(result.stderr, rb"^penstock: .*\nTry 'penstock digest --help' for more information\.\n$")


class Lines(CheckTest):
    """What counts as a line of a list, and what its name is."""
    HEX_LINES = [
        A + b"  a", A + b" *a", A + b" a", A + b"\ta", A + b"\t a", A + b"\t*a", A + b"\t\ta", A + b" \ta",
        A + b"   a", A + b"    a", A + b"  *a", A + b" **a", A + b"* a", A + b"  a ", A + b"  a\t", A + b"  a b",
        A + b"  ", A + b" ", A + b" *", A + b"  *", A + b"   ", A, A + b"  #c", A + b" #c",
        b" " + A + b"  a", b"\t \t" + A + b"  a", b"\v" + A + b"  a", b"\r" + A + b"  a", b"\xa0" + A + b"  a",
        A.upper() + b"  a", A[:32] + A[32:].upper() + b"  a",
        A + b"0  a", A[:-1] + b"  a", A[:-1] + b"g  a", A[:-1] + b"g a", A[:32] + b"  a", A + A + b"  a",
        b"x" + A + b"  a", A + b"-  a", A + b"\v a", A + b"\r a", b"0x" + A[2:] + b"  a", b"-" + A[1:] + b"  a",
        A + b"  " + b"n" * 5000, b"x" * 100_000,
    ]
    DASH_LINES = [A + b"  -", A + b" *-", A + b" -", b"SHA256 (-) = " + A, A + b"  ./-", A + b"  --", A + b"   -"]
    ESCAPED_LINES = [
        b"\\" + A + b"  a", b"\\" + A + b" *a", b"\\" + A + b" a", b" \\" + A + b"  a", b"\\ " + A + b"  a",
        b"\\\\" + A + b"  a", b"\\" + A + b"  ", b"\\" + A + b" ", b"\\" + A, b"\\", b"\\\\", b"\\" + A[1:] + b"  a",
        b"\\" + digest_of(b"n\nl") + b"  n\\nl", b"\\" + A + b"  n\\nl", b"\\" + digest_of(b"a\r") + b"  a\\r",
        b"\\" + digest_of(b"b\\s") + b"  b\\\\s", b"\\" + digest_of(b"\\") + b"  \\\\",
        b"\\" + digest_of(b"b\\s\nq") + b"  b\\\\s\\nq", b"\\" + digest_of(b"c\rd\ne") + b"  c\\rd\\ne",
        digest_of(b"b\\s") + b"  b\\s", digest_of(b"b\\s") + b"  b\\\\s", digest_of(b"\\") + b"  \\",
        b"\\" + A + b"  a\\t", b"\\" + A + b"  a\\", b"\\" + A + b"  \\", b"\\" + A + b" \\", b"\\" + A + b"  a\\0",
        b"\\" + A + b"  \\N", b"\\" + A + b"  a\\\\\\", b"\\" + A + b"  \\x61", b"\\" + A + b" \\\\",
        b"\\" + A + b" \\n",
        b"\\" + NO_DIGEST + b"  g\\none", b"\\" + NO_DIGEST + b"  g\\rone", b"\\" + NO_DIGEST + b"  g\\\\one",
        b"\\" + NO_DIGEST + b"  \\\\\\n\\r",
    ]
    TAGGED_LINES = [
        b"SHA256 (a) = " + A, b"SHA256(a)= " + A, b"SHA256(a)=" + A, b"SHA256 (a)=" + A, b"SHA256  (a) = " + A,
        b"SHA256\t(a) = " + A, b"SHA256 (a)\t=\t" + A, b"SHA256 (a)   =   " + A, b"SHA256 (a) =\r" + A,
        b"SHA256 (a) = " + A.upper(), b"SHA256 (a) = " + A + b" ", b"SHA256 (a) = " + A + b"\t",
        b"SHA256 (a) = " + A + b"x",
        b"SHA256 (a) = " + A + b"0", b"SHA256 (a) = " + A[:-1], b"SHA256 (a) = " + A[:-1] + b"g", b"SHA256 (a) = ",
        b"SHA256 (a) =", b"SHA256 (a) ", b"SHA256 (a)", b"SHA256 (a", b"SHA256 (", b"SHA256 ", b"SHA256",
        b"SHA256 () = " + NO_DIGEST, b"SHA256 (a)) = " + digest_of(b"a)"), b"SHA256 (a) = x) = " + digest_of(b"a) = x"),
        b"SHA256 (a) = " + A + b")", b"SHA256 (a) = " + A + b" )", b"SHA256 (a) == " + A, b"SHA256 (a) : " + A,
        b"SHA256 (a)" + A, b"SHA256 (a) " + A, b"SHA256 (a = " + A, b"SHA256 a) = " + A, b"SHA256a) = " + A,
        b" SHA256 (a) = " + A, b"\t SHA256 (a) = " + A, b"\\SHA256 (a) = " + A, b" \\SHA256 (a) = " + A,
        b"\\ SHA256 (a) = " + A, b"\\SHA256 (n\\nl) = " + digest_of(b"n\nl"), b"\\SHA256 (a\\r) = " + digest_of(b"a\r"),
        b"\\SHA256 (b\\\\s) = " + digest_of(b"b\\s"), b"\\SHA256 (a\\t) = " + A, b"\\SHA256 (a\\) = " + A,
        b"SHA256 (b\\s) = " + digest_of(b"b\\s"), b"SHA256 (n\\nl) = " + A, b"SHA256 (*a) = " + digest_of(b"*a"),
        b"SHA256 ( a) = " + digest_of(b" a"), b"SHA256 (a ) = " + digest_of(b"a "), b"SHA256 (() = " + digest_of(b"("),
        b"SHA256 ()) = " + digest_of(b")"), b"SHA256 (SHA256) = " + digest_of(b"SHA256"), b"sha256 (a) = " + A,
        b"SHA2-256 (a) = " + A, b"SHA256-256 (a) = " + A, b"SHA512 (a) = " + A, b"SHA224 (a) = " + A, b"MD5 (a) = " + A,
        b"SHA256 (a) = \\" + A, b"SHA256:a = " + A, b"SHA256 *(a) = " + A, b"SHA256" + A + b"  a",
        b"SHA256 " + A + b"  a",
    ]
    LINES_WITH_NUL = [
        A + b"  a\0b", A + b"  a\0", A + b"\0  a", b"\0" + A + b"  a", b" \0" + A + b"  a", A + b" \0a", A + b"  \0a",
        A + b" \0", A + b"\0\0\0a", A + b"  -\0x", A[:60] + b"\0\0\0\0  a", b"\\" + A + b"  a\0b", b"\\" + A + b"  a\0",
        b"\0", b"\0\0", b"\0#", b"#\0", b"\0" * 70, b"SHA256 (a\0b) = " + A, b"SHA256 (a)\0) = " + A,
        b"SHA256 (a) = " + A + b"\0zz", b"SHA256 (a) = " + A + b"\0)", b"SHA256 (a) = \0" + A, b"SHA256 (a) \0= " + A,
        b"SHA256\0(a) = " + A, b"SHA256 \0(a) = " + A, b"\\SHA256 (a\0) = " + A, b"\\SHA256 (a) = " + A + b"\0",
        b"SHA256 (\0) = " + A, A + b"  gone\0a", A + b" *a\0b",
    ]
    EMPTY_LINES = [b"", b"#", b"# comment", b"#" + GOOD[:-1], b" ", b"\t", b" #", b"x", b"  ", b"\r", b"\r\r", b"#\r"]

    def assert_lines_checked_as_sha256sum(self, lines):
        self.assert_each_checked_as_sha256sum(*[line + b"\n" for line in lines])
        # Whether one blank or two characters stand before a name is settled by the first line of a run.
        for first in [STANDARD, REVERSED]:
            self.assert_checked_as_sha256sum("--warn", list=first + b"".join(line + b"\n" for line in lines))

    def test_lines_that_begin_with_a_digest(self):
        self.assert_lines_checked_as_sha256sum(self.HEX_LINES)

    def test_lines_with_escaped_names(self):
        self.assert_lines_checked_as_sha256sum(self.ESCAPED_LINES)

    def test_tagged_lines(self):
        self.assert_lines_checked_as_sha256sum(self.TAGGED_LINES)

    def test_lines_with_nul_bytes(self):
        self.assert_lines_checked_as_sha256sum(self.LINES_WITH_NUL)

    def test_empty_lines_and_comments(self):
        self.assert_lines_checked_as_sha256sum(self.EMPTY_LINES)
        self.assert_each_checked_as_sha256sum(b"", b"#", b"\n\n\n", b"#\n#\n", b"\n\n#\n\r\n" + MALFORMED + GOOD)

    def test_stdin_can_not_be_named_in_a_list_from_stdin(self):
        self.assert_lines_checked_as_sha256sum(self.DASH_LINES)

    def test_stdin_can_be_named_in_a_list_from_a_file(self):
        for number, line in enumerate(self.DASH_LINES):
            with self.subTest(line=line):
                self.write(b"list%d" % number, line + b"\n")
                self.assert_checked_as_sha256sum(b"list%d" % number, list=b"a")

    def test_line_ends_of_all_kinds(self):
        lines = self.HEX_LINES[:8] + self.ESCAPED_LINES[12:20] + self.TAGGED_LINES[:4]
        for first in [STANDARD, REVERSED, b""]:
            for end in [b"\r\n", b"\r\r\n", b" \n", b"\n\n", b"\n\r"]:
                with self.subTest(first=first, end=end):
                    self.assert_checked_as_sha256sum("--warn", list=first + b"".join(line + end for line in lines))

    def test_the_last_line_needs_no_end(self):
        self.assert_each_checked_as_sha256sum(GOOD[:-1], GOOD + A + b"  a", A + b"  a\r", A, b"#", b"x", b"\r", b"\0",
                                              GOOD + b"\0", A + b" a", A + b" ", b"SHA256 (a) = " + A,
                                              GOOD + b"x" * 5000)

    def test_the_first_line_with_a_digest_settles_whether_names_stand_behind_one_blank(self):
        tagged = b"SHA256 (a) = " + A + b"\n"
        binary = A + b" *a\n"
        first_lines = [
            STANDARD, REVERSED, binary, tagged, MALFORMED, A + b" -\n", A + b"  -\n", A + b"\ta\n", A + b"  \n",
            A + b" \n",
            A + b" *\n", A[:-1] + b"g a\n", A[:-1] + b"g  a\n", b"\\" + A + b" a\\q\n", b"\\" + A + b"  a\\q\n",
            A + b" \0\n", A + b"  \0\n", b"\\" + A + b" \\\n", WRONG, MISSING, NO_DIGEST + b" gone\n", b"#" + REVERSED,
        ]
        self.assert_each_checked_as_sha256sum(*[first + STANDARD + REVERSED + binary + tagged for first in first_lines],
                                              *[first + REVERSED + STANDARD + binary + tagged for first in first_lines])


class Lists(CheckTest):
    def setUp(self):
        super().setUp()
        for name, content in [
                (b"good", GOOD), (b"wrong", WRONG), (b"missing", MISSING), (b"malformed", MALFORMED), (b"empty", b""),
                (b"comments", b"# one\n\n# two\n"), (b"reversed", REVERSED),
                (b"mixed", GOOD + MALFORMED + WRONG + MISSING), (b"dash", A + b"  -\n"), (b"two words", MALFORMED),
                (b"it's", GOOD + MALFORMED), (b"\xff", MALFORMED)]:
            self.write(name, content)

    def test_lists_are_checked_one_after_the_other(self):
        for lists in [["good"], ["good", "good"], ["good", "mixed", "good"], ["wrong", "missing", "malformed", "good"],
                      ["empty", "comments", "good"], ["malformed"] * 3, ["two words", "it's", b"\xff"],
                      ["reversed", "good"], ["good", "reversed"], ["reversed", "reversed", "mixed"],
                      ["malformed", "reversed", "good"], ["missing", "good"], ["comments"]]:
            for options in [[], ["--warn"], ["--ignore-missing", "--strict"], ["--status"], ["--quiet"]]:
                with self.subTest(lists=lists, options=options):
                    self.assert_checked_as_sha256sum(*options, "--", *lists)

    def test_a_list_that_can_not_be_read_is_an_error_and_the_others_are_checked(self):
        for lists in [["gone"], ["gone", "good"], ["good", "gone", "wrong"], ["."], [".", "good"], ["good", "."], [""],
                      ["good/"], ["good/x"], ["/proc/self/mem", "good"], ["/dev/null"], ["no list"], ["gone", "gone"]]:
            for options in [[], ["--status"], ["--ignore-missing"]]:
                with self.subTest(lists=lists, options=options):
                    self.assert_checked_as_sha256sum(*options, *lists)

    def test_a_list_without_permission_is_an_error(self):
        os.chmod(self.path(b"mixed"), 0)
        self.assert_checked_as_sha256sum("mixed", "good", **support.as_ordinary_user())

    def test_stdin_is_a_list_like_others(self):
        for lists in [["-"], ["-", "-"], ["good", "-", "wrong"], ["-", "mixed", "-"], ["./-"], ["/dev/stdin"],
                      ["-", "gone"]]:
            with self.subTest(lists=lists):
                self.assert_checked_as_sha256sum("--warn", *lists, list=GOOD + MALFORMED + WRONG)

    def test_stdin_can_be_a_list_and_be_named_in_another(self):
        # Whoever comes first gets everything.
        for lists in [["dash"], ["dash", "dash"], ["dash", "-"], ["-", "dash"], ["-", "dash", "-"], ["good", "dash"]]:
            for content in [b"a", GOOD]:
                with self.subTest(lists=lists, content=content):
                    self.assert_checked_as_sha256sum("--warn", *lists, list=content)

    def test_dev_stdin_as_a_list_may_name_stdin(self):
        self.assert_checked_as_sha256sum("--warn", "/dev/stdin", list=A + b"  -\n" + GOOD)

    def test_a_folder_as_stdin_or_a_closed_one_is_a_read_error(self):
        for command in ["-c - <.", "-c good - <.", "-c <&-", "-c good - <&-", "-c --status - <&-"]:
            with self.subTest(command=command):
                expected = self.run_program(["sh", "-c", "exec sha256sum " + command])
                result = self.run_program(["sh", "-c", 'exec "$0" digest ' + command, support.BINARY])
                self.assertEqual(result.stderr, support.in_our_name(expected.stderr))
                self.assertEqual((result.stdout, result.returncode), (expected.stdout, 1))

    def test_a_list_can_come_through_a_fifo(self):
        os.mkfifo(self.path(b"fifo"))
        running = self.start_digest("-c", "good", "fifo", "good")
        with open(open_when_read(self.path(b"fifo")), "wb") as fifo:
            fifo.write(GOOD + WRONG)
        self.assertEqual(running.communicate(timeout=support.PATIENCE), (
            b"a: OK\na: OK\na: FAILED\na: OK\n", b"penstock: WARNING: 1 computed checksum did NOT match\n"))
        self.assertEqual(running.returncode, 1)

    def test_messages_come_between_the_lines_where_sha256sum_has_them(self):
        for arguments in [["mixed"], ["--warn", "mixed", "mixed"],
                          ["--warn", "mixed", "gone", "malformed", "mixed", "."], ["--quiet", "mixed", "good"],
                          ["--ignore-missing", "missing", "good", "wrong", "wrong"]]:
            with self.subTest(arguments=arguments):
                self.assert_checked_as_sha256sum(*arguments, stderr=subprocess.STDOUT)


class Mutations(CheckTest):
    """Always the same lists, or others: PENSTOCK_SEED=NUMBER."""
    PIECES = [b"", b" ", b"  ", b"\t", b"*", b" *", b"\\", b"\\\\", b"\\n", b"\\r", b"(", b")", b"=", b" = ", b"\r",
              b"\0", b"#", b"-", b"a", b"A", b"0", b"SHA256", b"SHA256 (", A, b"\xff", b"\n", b".", b"'"]

    @staticmethod
    def seeds(count):
        first = int(os.environ.get("PENSTOCK_SEED", "1"))
        return range(first, first + count)

    @staticmethod
    def valid_lines():
        lines = []
        for name in NAMES:
            escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
            mark = b"" if escaped == name else b"\\"
            digest = digest_of(name)
            lines += [mark + digest + b"  " + escaped, mark + digest + b" *" + escaped, mark + digest + b" " + escaped,
                      mark + b"SHA256 (" + escaped + b") = " + digest, mark + digest.upper() + b"  " + escaped]
        return lines

    def mutated(self, chance, line):
        for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
            # Most of a line is its digest, and there nearly every change has the same effect.
            marks = [at for at, byte in enumerate(line) if byte not in b"0123456789abcdefABCDEF"]
            places = [0, 1, len(line), *marks, *[at + 1 for at in marks]]
            at = chance.choice(places) if chance.random() < 0.9 else chance.randrange(len(line) + 1)
            length = chance.choice([0, 0, 0, 1, 1, 1, 1, 2, 2, 64])
            line = line[:at] + chance.choice(self.PIECES) + line[at + length:]
        return line

    def test_mutated_lists_are_read_as_sha256sum_reads_them(self):
        valid = self.valid_lines()
        for seed in self.seeds(24):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                lines = [self.mutated(chance, chance.choice(valid)) for _ in range(400)]
                lines[:0] = chance.choice([[], [STANDARD[:-1]], [REVERSED[:-1]]])
                end = chance.choice([b"\n", b"\n", b"\r\n"])
                options = chance.choice([["--warn"], ["--warn", "--ignore-missing"], ["--quiet"], ["--strict"]])
                self.assert_checked_as_sha256sum(*options, list=end.join(lines) + chance.choice([end, b""]))

    def test_mutated_beginnings_settle_the_same_format(self):
        valid = self.valid_lines()
        for seed in self.seeds(60):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                lines = [self.mutated(chance, chance.choice(valid)) for _ in range(3)]
                self.assert_checked_as_sha256sum("--warn", list=b"\n".join(lines) + b"\n" + STANDARD + REVERSED)


class RoundTrips(support.ToolTest):
    def setUp(self):
        super().setUp()
        odd = [*test_lines.ODD_NAMES, b"a) = x", b"(", b")", b"a)", b"SHA256 (x", b" *x", b"*x", b"x\\",
               b"\\\n\\\r", b"x\r"]
        self.names = [self.write(name) for name in odd] + [self.write(b"folder/" + name) for name in odd]

    def test_sha256sum_accepts_every_kind_of_line(self):
        for options in [[], ["--tag"], ["--binary"]]:
            with self.subTest(options=options):
                lines = self.digest(*options, "--", *self.names).stdout
                checked = self.run_program(["sha256sum", "-c", "--strict", "--warn"], input=lines)
                self.assertEqual((checked.stderr, checked.returncode), (b"", 0))
                self.assertEqual(checked.stdout.count(b": OK\n"), len(self.names))

    def test_every_kind_of_line_of_sha256sum_is_accepted(self):
        for options in [[], ["--tag"], ["--binary"]]:
            with self.subTest(options=options):
                lines = self.run_program(["sha256sum", *options, "--", *self.names]).stdout
                checked = self.assert_as_sha256sum("-c", "--strict", "--warn", input=lines)
                self.assertEqual((checked.stderr, checked.returncode), (b"", 0))
                self.assertEqual(checked.stdout.count(b": OK\n"), len(self.names))

    def test_the_lines_of_a_walk_are_accepted(self):
        for options in [[], ["--tag"], ["--binary"], ["--unordered"]]:
            with self.subTest(options=options):
                lines = self.digest(*options, "folder").stdout
                checked = self.digest("-c", "--strict", "--quiet", input=lines)
                self.assertEqual((checked.stdout, checked.stderr, checked.returncode), (b"", b"", 0))


class Order(support.ToolTest):
    def setUp(self):
        super().setUp()
        chance = random.Random(6)
        sizes = [3_000_000] * 6 + [200_000] * 20 + [1000] * 150 + [0] * 50
        names = [self.write(b"%03d" % number, chance.randbytes(size)) for number, size in enumerate(sizes)]
        chance.shuffle(names)
        lines = self.sha256sum(*names).stdout.splitlines(keepends=True)
        for number in range(0, len(lines), 7):
            lines[number] = NO_DIGEST + lines[number][64:]
        for number in range(3, len(lines), 20):
            lines[number] = NO_DIGEST + b"  gone %d\n" % number
        self.list = b"".join(lines)
        self.expected = self.run_program(["sha256sum", "-c", "--warn"], input=self.list)
        self.assertEqual(self.expected.stdout.count(b"\n"), len(names))

    def test_results_come_in_the_order_of_the_list(self):
        for options in [[], ["-j1", "--limit=1", "--buffer=0"], ["-j8", "--limit=3", "--buffer=0"],
                        ["-j3", "--limit=100", "--buffer=1000"]]:
            with self.subTest(options=options):
                result = self.digest("-c", "--warn", *options, input=self.list)
                self.assertEqual(result.stdout.splitlines(), self.expected.stdout.splitlines())
                self.assertEqual(result.stderr, support.in_our_name(self.expected.stderr))
                self.assertEqual(result.returncode, 1)

    def test_unordered_results_are_the_same_ones(self):
        for options in [[], ["-j1"], ["-j8", "--limit=3"]]:
            with self.subTest(options=options):
                result = self.digest("-c", "--warn", "--unordered", *options, input=self.list)
                messages = support.in_our_name(self.expected.stderr).splitlines()
                self.assertEqual(sorted(result.stdout.splitlines()), sorted(self.expected.stdout.splitlines()))
                self.assertEqual(sorted(result.stderr.splitlines()), sorted(messages))
                self.assertEqual(result.returncode, 1)

    def test_unordered_counts_come_behind_all_results(self):
        result = self.digest("-c", "--unordered", stderr=subprocess.STDOUT, input=self.list)
        ends = [support.in_our_name(line) for line in self.expected.stderr.splitlines() if b"WARNING" in line]
        self.assertEqual(result.stdout.splitlines()[-len(ends):], ends)


class Laziness(support.ToolTest):
    def test_each_line_is_answered_before_the_next_one_is_written(self):
        self.write(b"a")
        for options in [["-j1"], ["-j2"], ["-j8", "--buffer=1000"], ["-j1", "--limit=1", "--buffer=0"],
                        ["--unordered"]]:
            with self.subTest(options=options):
                running = self.start_watched("-c", *options, stdin=subprocess.PIPE)
                for line, answer in [(GOOD, b"a: OK\n"), (WRONG, b"a: FAILED\n"), (GOOD, b"a: OK\n")]:
                    running.stdin.write(line)
                    running.stdin.flush()
                    self.assertEqual(running.stdout.readline(), answer)
                running.stdin.write(GOOD[:-1])
                self.assertEqual(running.communicate(timeout=support.PATIENCE), (
                    b"a: OK\n", b"penstock: WARNING: 1 computed checksum did NOT match\n"))

    def test_a_list_of_100000_lines_is_read_no_faster_than_its_results_are_taken(self):
        name = self.write(b"n" * 200)
        self.assert_input_read_as_needed("-c", record=support.line(name, name), line=name + b": OK\n", count=100_000)
