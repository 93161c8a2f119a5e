# SPDX-License-Identifier: MIT
"""What each option of digest does, and which of them go together."""
import itertools
import os
import random
import re
import resource
import socket
import subprocess

import support
import test_lines
from running import open_when_read

A, B = support.line(b"a", b"a"), support.line(b"b", b"b")


class OptionsTest(support.ToolTest):
    def setUp(self):
        super().setUp()
        for name in [b"a", b"b"]:
            self.write(name)

    def assert_refused(self, *arguments, saying, **settings):
        """A usage error: the message, where to find help, nothing else."""
        result = self.digest(*arguments, **settings)
        hint = b"Try 'penstock digest --help' for more information.\n"
        self.assertEqual(result.stderr, b"penstock: " + saying + b"\n" + hint)
        self.assertEqual((result.stdout, result.returncode), (b"", 1))


class LineForms(OptionsTest):
    FORMS = ["-b", "-t", "--tag", "-z"]

    def test_every_sequence_of_the_options_for_lines_does_what_it_does_in_sha256sum(self):
        names = [self.write(name) for name in test_lines.ODD_NAMES]
        for count in range(len(self.FORMS) + 1):
            for options in itertools.permutations(self.FORMS, count):
                with self.subTest(options=options):
                    self.assert_as_sha256sum(*options, "--", *names, b"missing")

    def test_repeated_options_for_lines_do_what_they_do_in_sha256sum(self):
        for options in [["-bb"], ["-zz"], ["-bt"], ["-tb"], ["-zbt"], ["-btb"], ["--tag", "--tag"], ["-tb", "--tag"],
                        ["--tag", "-tb"], ["--tag", "-bt"]]:
            with self.subTest(options=options):
                self.assert_as_sha256sum(*options, "a", "b")

    def test_stdin_is_named_in_every_form(self):
        for options in [[], ["-b"], ["-t"], ["--tag"], ["-z"], ["-bz"], ["--tag", "-z"]]:
            with self.subTest(options=options):
                self.assert_as_sha256sum(*options, input=b"some input")
                self.assert_as_sha256sum(*options, "a", "-", "b", input=b"some input")

    def test_the_lines_of_a_walk_take_every_form(self):
        for name in test_lines.ODD_NAMES:
            self.write(b"tree/" + name)
        names = support.files_below(self.folder, b"tree")
        for options in [["-b"], ["--tag"], ["-z"], ["-bz"], ["--tag", "-z"]]:
            with self.subTest(options=options):
                expected = self.run_program(["sha256sum", *options, "--", *names])
                self.assert_success(self.digest(*options, "tree"), expected.stdout)


class Combinations(OptionsTest):
    OPTIONS = ["-b", "-t", "--tag", "-z", "-c", "--quiet", "--status", "-w", "--strict", "--ignore-missing"]

    def assert_understood_as_by_sha256sum(self, selections):
        # The input is something to digest as well as a list to check.
        for options in selections:
            with self.subTest(options=options):
                self.assert_as_sha256sum(*options, input=A + b"malformed\n")

    def test_every_pair_of_options_is_accepted_or_refused_as_by_sha256sum(self):
        self.assert_understood_as_by_sha256sum([[option] for option in self.OPTIONS])
        self.assert_understood_as_by_sha256sum(itertools.permutations(self.OPTIONS, 2))

    def test_larger_sets_of_options_are_accepted_or_refused_as_by_sha256sum(self):
        chance = random.Random(9)
        self.assert_understood_as_by_sha256sum(chance.sample(self.OPTIONS, chance.randint(3, 6)) for _ in range(150))

    def test_a_refused_command_line_reads_nothing(self):
        result = self.digest("a", "--quiet", "missing", "--files0-from=missing")
        self.assertEqual(result.stdout, b"")
        self.assertNotIn(b"No such file", result.stderr)
        self.assertEqual(result.returncode, 1)


class Syntax(OptionsTest):
    def test_wrong_options_get_the_messages_of_sha256sum(self):
        for arguments in [["-x"], ["-xz"], ["-zx"], ["-h"], ["-c", "-x"], ["--bogus"], ["--bogus=3"], ["--tag=3"],
                          ["--check=3"], ["--zero="], ["--help=3"], ["--ignore_missing"], ["--s"], ["--st"], ["--t"],
                          ["--bogus", "--help"], ["--bogus", "--version"], ["-x", "missing"], ["missing", "--bogus"],
                          ["-\u00e9"], ["--quietly"], ["---"], ["--Check"]]:
            with self.subTest(arguments=arguments):
                self.assert_as_sha256sum(*arguments)

    def test_an_option_without_its_value_is_refused(self):
        for option in ["workers", "limit", "buffer", "files0-from"]:
            self.assert_refused("--" + option, saying=b"option '--%s' requires an argument" % option.encode())
        self.assert_refused("-j", saying=b"option requires an argument -- 'j'")

    def test_an_option_that_has_no_value_is_refused_with_one(self):
        for option in ["unordered", "follow", "progress", "no-progress", "verbose", "help", "version"]:
            self.assert_refused(f"--{option}=x", saying=b"option '--%s' doesn't allow an argument" % option.encode())

    def test_long_options_may_be_shortened_as_in_sha256sum(self):
        for option in ["--te", "--ta", "--z", "--zer", "--b", "--bi"]:
            with self.subTest(option=option):
                self.assert_as_sha256sum(option, "a")
        for option in ["--sta", "--str", "--ig", "--ignore-", "--q", "--w", "--wa", "--warn"]:
            with self.subTest(option=option):
                self.assert_as_sha256sum(option, "--ch", input=A + b"malformed\n")

    def test_options_of_its_own_may_be_shortened(self):
        self.write(b"names", b"a\0")
        for arguments in [["--unord", "a"], ["--fol", "a"], ["--wo=2", "a"], ["--wor", "2", "a"], ["--lim=3", "a"],
                          ["--buf", "0", "a"], ["--fil=names"], ["--files0", "names"], ["--no", "a"],
                          ["--verb", "a"]]:
            with self.subTest(arguments=arguments):
                self.assert_success(self.digest(*arguments), A)

    def test_what_could_be_two_options_is_refused(self):
        for short, options in [("--f", ["files0-from", "follow"]), ("--s", ["status", "strict"])]:
            with self.subTest(short=short):
                result = self.digest(short, "a")
                self.assertEqual((result.stdout, result.returncode), (b"", 1))
                first = result.stderr.split(b"\n")[0]
                said = re.fullmatch(rb"penstock: option '%s' is ambiguous; possibilities:(( '--[a-z0-9-]+')+)"
                                    % short.encode(), first)
                self.assertIsNotNone(said, first)
                self.assertEqual(sorted(said[1].split()), [b"'--%s'" % option.encode() for option in options])

    def test_options_may_follow_operands(self):
        for arguments in [["a", "-b"], ["a", "--tag", "b"], ["a", "-z", "b", "-b"], ["a", "--bogus", "b"],
                          ["a", "-", "-b"]]:
            with self.subTest(arguments=arguments):
                self.assert_as_sha256sum(*arguments)
        for arguments in [["a", "-j", "1", "b"], ["a", "b", "-j1"], ["-j2", "a", "--limit", "5", "b"],
                          ["a", "--workers=2", "b", "--buffer=0"]]:
            with self.subTest(arguments=arguments):
                self.assert_success(self.digest(*arguments), A + B)

    def test_behind_a_double_dash_nothing_is_an_option(self):
        for name in [b"-b", b"--", b"--tag", b"--help", b"-"]:
            self.write(name)
        for arguments in [["--", "-b"], ["-b", "--", "--", "--tag"], ["a", "--", "-b", "--help"], ["--", "--bogus"],
                          ["--"], ["a", "--"], ["--", "-"], ["-", "--", "-"], ["--", "", "a"]]:
            with self.subTest(arguments=arguments):
                self.assert_as_sha256sum(*arguments, input=b"some input")

    def test_posixly_correct_makes_the_first_operand_end_the_options(self):
        self.write(b"-b")
        for value in ["", "1"]:
            environment = {**support.environment(), "POSIXLY_CORRECT": value}
            for arguments in [["a", "-b", "b"], ["-b", "a", "b"], ["a", "--bogus"], ["a", "--", "b"], ["--", "a"],
                              ["-", "-b"], ["-b"]]:
                with self.subTest(value=value, arguments=arguments):
                    self.assert_as_sha256sum(*arguments, env=environment)

    def test_values_may_stand_in_the_next_argument_or_in_the_same(self):
        for options in [["-j2"], ["-j", "2"], ["-bj2", "-t"], ["--workers=2"], ["--workers", "2"], ["-bj", "2", "-t"]]:
            with self.subTest(options=options):
                self.assert_success(self.digest(*options, "a", "b"), A + B)


class Numbers(OptionsTest):
    KINDS = [("--workers", b"number of workers"), ("--limit", b"limit"), ("--buffer", b"buffer")]

    def test_what_is_no_whole_number_is_refused(self):
        for option, kind in self.KINDS:
            for text in ["x", "1x", "x1", "-1", "", " 4", "4 ", "+4", "0x4", "1.5", "1e3", "4,5", "two words"]:
                with self.subTest(option=option, text=text):
                    self.assert_refused(f"{option}={text}", "a", saying=b"invalid %s: '%s'" % (kind, text.encode()))
                    self.assert_refused(option, text, "a", saying=b"invalid %s: '%s'" % (kind, text.encode()))
        self.assert_refused("-jx", "a", saying=b"invalid number of workers: 'x'")
        self.assert_refused("-j", "-1", "a", saying=b"invalid number of workers: '-1'")

    def test_nobody_can_work_with_no_worker_or_no_file(self):
        self.assert_refused("-j0", "a", saying=b"invalid number of workers: '0'")
        self.assert_refused("--limit=0", "a", saying=b"invalid limit: '0'")
        self.assert_refused("--limit=00", "a", saying=b"invalid limit: '00'")

    def test_no_buffer_is_a_buffer(self):
        self.assert_success(self.digest("--buffer=0", "a", "b"), A + B)

    def test_leading_zeros_do_not_change_the_base(self):
        self.assert_success(self.digest("-j", "010", "--limit=008", "--buffer=09", "a", "b"), A + B)

    def test_large_limits_and_buffers_take_no_memory_of_their_own(self):
        for options in [["--limit=1000000000"], ["--buffer=1000000000"], ["--limit=1000000000", "--buffer=1000000000"]]:
            with self.subTest(options=options):
                self.assert_success(self.digest("-j2", *options, "a", "b"), A + B)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of any program run so far
        self.assertLess(most, 250_000_000)

    def test_the_largest_numbers_work_or_are_refused(self):
        for option, kind in self.KINDS:
            for text in ["4294967295", "4294967296", "9223372036854775807", "9223372036854775808",
                         "18446744073709551615", "18446744073709551616", "99999999999999999999999999"]:
                with self.subTest(option=option, text=text):
                    result = self.digest(option, text, "a", "b")
                    if result.returncode == 0:
                        self.assert_success(result, A + B)
                    else:
                        self.assertEqual((result.stdout, result.returncode), (b"", 1))
                        self.assertTrue(result.stderr.startswith(b"penstock: invalid %s: '%s'" % (kind, text.encode())),
                                        result.stderr)

    def test_control_bytes_in_a_number_do_not_reach_the_terminal(self):
        result = self.digest("-j", b"\x1b[31m\xff", "a")
        self.assertEqual((result.stdout, result.returncode), (b"", 1))
        self.assertNotIn(b"\x1b", result.stderr)

    def test_the_last_of_several_numbers_counts(self):
        self.assert_success(self.digest("-j", "1", "-j2", "--limit=1", "--limit=5", "--buffer=0", "--buffer=7", "a"), A)

    def test_the_most_workers_are_256(self):
        self.assert_success(self.digest("-j256", "a", "b"), A + B)
        for text in ["257", "4096"]:
            self.assert_refused("-j", text, "a",
                                saying=b"invalid number of workers: '%s': the most is 256" % text.encode())

    def test_more_workers_than_files_do_no_harm(self):
        self.assert_success(self.digest("-j64", "a", "b"), A + B)


class NamesFromAFile(OptionsTest):
    def setUp(self):
        super().setUp()
        self.write(b"tree/x")
        self.write(b"tree/y/z")

    def assert_messages_of_wc(self, *arguments, **settings):
        """wc has the same option: same messages but for the program's name, same status."""
        expected = self.run_program(["wc", "-c", *arguments], **settings)
        result = self.digest(*arguments, **settings)
        self.assertEqual(result.stderr, support.in_our_name(expected.stderr, b"wc"))
        self.assertEqual(result.returncode, expected.returncode)
        return result

    def test_every_odd_name_gets_the_line_of_sha256sum(self):
        names = [self.write(name) for name in test_lines.ODD_NAMES]
        expected = self.sha256sum(*names).stdout
        for end in [b"\0", b""]:
            with self.subTest(end=end):
                self.write(b"names", b"\0".join(names) + end)
                self.assert_success(self.digest("--files0-from=names"), expected)
                self.assert_success(self.digest("--files0-from", "names"), expected)
                self.assert_success(self.digest("--files0-from=-", input=b"\0".join(names) + end), expected)

    def test_no_names_give_no_lines(self):
        # Not a digest of stdin, as without names in the arguments.
        self.assert_success(self.digest("--files0-from=-", input=b""), b"")
        self.assert_success(self.digest("--files0-from=/dev/null", input=b"some input"), b"")

    def test_folders_among_the_names_are_walked(self):
        expected = A + support.line(b"tree/x", b"tree/x") + support.line(b"tree/y/z", b"tree/y/z") + B
        self.assert_success(self.digest("--files0-from=-", input=b"a\0tree\0b\0"), expected)

    def test_a_name_is_never_an_option(self):
        for name in [b"--help", b"-b", b"--"]:
            self.write(name)
        self.assert_success(self.digest("--files0-from=-", input=b"--help\0-b\0--\0"),
                            b"".join(support.line(name, name) for name in [b"--help", b"-b", b"--"]))

    def test_a_dash_in_a_file_is_stdin(self):
        self.write(b"names", b"a\0-\0b\0-")
        self.assert_success(self.digest("--files0-from=names", input=b"some input"),
                            A + support.line(b"some input", b"-") + B + support.line(b"", b"-"))

    def test_empty_names_and_dashes_are_refused_as_by_wc_and_the_rest_is_done(self):
        for names, lines in [(b"a\0\0b\0", A + B), (b"\0", b""), (b"a\0\0b\0\0", A + B), (b"\0a", A),
                             (b"a\0-\0b", A + B), (b"-", b""), (b"-\0", b""), (b"\0-\0\0", b""), (b"a\0gone\0b", A + B),
                             (b"a\nb\0a\0", A), (b"\0\0\0", b""), (b"./-\0a\0", A)]:
            with self.subTest(names=names):
                self.assertEqual(self.assert_messages_of_wc("--files0-from=-", input=names).stdout, lines)

    def test_the_file_is_named_in_messages_as_wc_names_it(self):
        for name in [b"names", b"two words", b"a:b", b"it's", b"\xff", b"n\nl", "\u00e9".encode()]:
            with self.subTest(name=name):
                self.write(name, b"a\0\0b\0\0")
                self.assertEqual(self.assert_messages_of_wc(b"--files0-from=" + name).stdout, A + B)

    def test_messages_come_in_the_order_of_the_names(self):
        result = self.digest("--files0-from=-", input=b"gone\0a\0\0b\0-\0a\0", stderr=subprocess.STDOUT)
        self.assertEqual(result.stdout, b"penstock: gone: No such file or directory\n" + A
                         + b"penstock: -:3: invalid zero-length file name\n" + B
                         + b"penstock: when reading file names from stdin, no file name of '-' allowed\n" + A)
        self.assertEqual(result.returncode, 1)

    def test_a_file_that_can_not_be_opened_is_an_error_as_for_wc(self):
        for name in ["gone", "go ne", "", "a/x", "a/", "it's"]:
            with self.subTest(name=name):
                self.assertEqual(self.assert_messages_of_wc("--files0-from=" + name, input=b"a\0").stdout, b"")

    def test_a_file_without_permission_is_an_error_as_for_wc(self):
        self.write(b"names", b"a\0")
        os.chmod(self.path(b"names"), 0)
        self.assert_messages_of_wc("--files0-from=names", **support.as_ordinary_user())

    def test_a_file_that_can_not_be_read_is_an_error(self):
        self.assert_messages_of_wc("--files0-from=.")
        result = self.digest("--files0-from=/proc/self/mem")
        self.assertEqual(result.stderr, b"penstock: /proc/self/mem: read error: Input/output error\n")
        self.assertEqual((result.stdout, result.returncode), (b"", 1))

    def test_stdin_that_can_not_be_read_is_an_error_as_for_wc(self):
        for redirection in ["<.", "<&-"]:
            with self.subTest(redirection=redirection):
                expected = self.run_program(["sh", "-c", "exec wc --files0-from=- " + redirection])
                result = self.run_program(["sh", "-c", 'exec "$0" digest --files0-from=- ' + redirection,
                                           support.BINARY])
                self.assertEqual(result.stderr, support.in_our_name(expected.stderr, b"wc"))
                self.assertEqual((result.stdout, result.returncode), (b"", 1))

    def test_arguments_beside_it_are_refused_as_by_wc(self):
        self.write(b"names", b"a\0")
        for arguments in [["--files0-from=names", "x y"], ["a", "--files0-from=names"], ["--files0-from=-", "-"],
                          ["--files0-from=gone", "a", "b"], ["--files0-from=names", "--", "-", "b"],
                          ["--files0-from=names", b"a\nb"], ["--files0-from=names", ""]]:
            with self.subTest(arguments=arguments):
                self.assertEqual(self.assert_messages_of_wc(*arguments, input=b"a\0").stdout, b"")

    def test_the_last_one_counts(self):
        self.write(b"names", b"a\0")
        self.assert_success(self.digest("--files0-from=gone", "--files0-from=names"), A)

    def test_it_goes_with_the_other_options(self):
        for options in [["-z"], ["-b"], ["--tag"], ["--tag", "-z"]]:
            with self.subTest(options=options):
                expected = self.run_program(["sha256sum", *options, "a", "b", "tree/x", "tree/y/z"]).stdout
                self.assert_success(self.digest(*options, "--files0-from=-", input=b"a\0b\0tree"), expected)

    def test_names_that_are_too_long_are_errors_as_for_wc(self):
        names = b"\0".join([b"n" * 256, b"n/" * 3000, b"n" * 200_000, b"a"])
        self.assertEqual(self.assert_messages_of_wc("--files0-from=-", input=names).stdout, A)

    def test_names_can_come_through_a_fifo(self):
        os.mkfifo(self.path(b"fifo"))
        running = self.start_watched("--files0-from=fifo")
        with open(open_when_read(self.path(b"fifo")), "wb") as fifo:
            fifo.write(b"a\0b")
        self.assertEqual(running.communicate(timeout=support.PATIENCE), (A + B, b""))

    def test_a_fifo_named_in_it_is_read(self):
        os.mkfifo(self.path(b"fifo"))
        running = self.start_watched("--files0-from=-", stdin=subprocess.PIPE)
        running.stdin.write(b"a\0fifo\0b\0")
        running.stdin.close()
        running.stdin = None
        with open(open_when_read(self.path(b"fifo")), "wb") as fifo:
            fifo.write(b"through the fifo")
        expected = A + support.line(b"through the fifo", b"fifo") + B
        self.assertEqual(running.communicate(timeout=support.PATIENCE), (expected, b""))

    def test_each_name_is_answered_before_the_next_one_is_written(self):
        tree = support.line(b"tree/x", b"tree/x") + support.line(b"tree/y/z", b"tree/y/z")
        for options in [["-j1"], ["-j2"], ["-j8"], ["-j8", "--buffer=1000"], ["-j1", "--limit=1", "--buffer=0"],
                        ["-j1", "--unordered"], ["-j8", "--unordered"]]:
            with self.subTest(options=options):
                running = self.start_watched("--files0-from=-", *options, stdin=subprocess.PIPE)
                for name, answer in [(b"a", A), (b"b", B), (b"tree", tree), (b"a", A)]:
                    running.stdin.write(name + b"\0")
                    running.stdin.flush()
                    lines = [running.stdout.readline() for _ in range(answer.count(b"\n"))]
                    self.assertEqual(sorted(lines), sorted(answer.splitlines(keepends=True)))
                running.stdin.write(b"b")
                self.assertEqual(running.communicate(timeout=support.PATIENCE), (B, b""))
                self.assertEqual(running.returncode, 0)

    def test_a_message_does_not_wait_for_the_next_name(self):
        running = self.start_watched("--files0-from=-", stdin=subprocess.PIPE)
        for name, message in [(b"gone", b"penstock: gone: No such file or directory\n"),
                              (b"", b"penstock: -:2: invalid zero-length file name\n")]:
            running.stdin.write(name + b"\0")
            running.stdin.flush()
            self.assertEqual(running.stderr.readline(), message)
        self.assertEqual(running.communicate(b"a", timeout=support.PATIENCE), (A, b""))

    def test_names_are_read_no_faster_than_their_lines_are_taken(self):
        name = self.write(b"n" * 200)
        for options in [[], ["--unordered"]]:
            with self.subTest(options=options):
                self.assert_input_read_as_needed("--files0-from=-", *options, record=name + b"\0",
                                                 line=support.line(name, name), count=50_000)


class Unordered(OptionsTest):
    def setUp(self):
        super().setUp()
        chance = random.Random(3)
        for number in range(400):
            size = 2_000_000 if number % 100 == 0 else chance.choice([0, 10, 5000, 50_000])
            self.write(b"tree/%d/%03d" % (number % 9, number), chance.randbytes(size))
        self.expected = self.digest("tree").stdout

    def test_the_lines_are_those_of_the_ordered_output(self):
        self.assertEqual(self.expected.count(b"\n"), 400)
        for options in [[], ["-j1"], ["-j2", "--limit=2"], ["-j8", "--limit=100"], ["-j8", "--buffer=0"]]:
            with self.subTest(options=options):
                result = self.digest("--unordered", *options, "tree")
                self.assertEqual(sorted(result.stdout.splitlines()), sorted(self.expected.splitlines()))
                self.assertEqual((result.stderr, result.returncode), (b"", 0))

    def test_the_lines_take_every_form(self):
        for options in [["-z"], ["--tag"], ["-bz"]]:
            with self.subTest(options=options):
                end = b"\0" if "z" in options[0] else b"\n"
                ordered = self.digest(*options, "tree").stdout.split(end)
                unordered = self.digest("--unordered", *options, "tree").stdout.split(end)
                self.assertEqual(sorted(unordered), sorted(ordered))

    def test_errors_are_reported_and_the_rest_is_done(self):
        os.chmod(self.path(b"tree/3"), 0)
        self.addCleanup(os.chmod, self.path(b"tree/3"), 0o755)
        os.chmod(self.path(b"tree/0/000"), 0)
        arguments = ["gone", "tree", "a", "tree/4/004/x"]
        ordered = self.digest(*arguments, **support.as_ordinary_user())
        result = self.digest("--unordered", *arguments, **support.as_ordinary_user())
        self.assertEqual(sorted(result.stdout.splitlines()), sorted(ordered.stdout.splitlines()))
        self.assertEqual(sorted(result.stderr.splitlines()), sorted(ordered.stderr.splitlines()))
        self.assertEqual((result.returncode, ordered.returncode), (1, 1))
        self.assertIn(b"penstock: tree/3: Permission denied\n", result.stderr)

    def test_stdin_and_links_given_as_arguments_are_digested(self):
        os.symlink(b"a", self.path(b"link"))
        result = self.digest("--unordered", "-", "link", "b", input=b"some input")
        self.assertEqual(sorted(result.stdout.splitlines(keepends=True)),
                         sorted([support.line(b"some input", b"-"), support.line(b"a", b"link"), B]))
        self.assertEqual((result.stderr, result.returncode), (b"", 0))


class Follow(OptionsTest):
    def link(self, name, goal):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        os.symlink(goal, self.path(name))

    def files_found(self, *starts):
        """What find comes to, in the order of a walk: by name, a folder when its name has its turn."""
        found = []
        for start in starts:
            names = self.run_program(["find", "-L", start, "-type", "f", "-print0"]).stdout.split(b"\0")[:-1]
            found += sorted(names, key=lambda name: name.split(b"/"))
        return found

    def assert_followed(self, *starts):
        names = self.files_found(*starts)
        expected = self.sha256sum(*names).stdout if names else b""
        for option in ["-L", "--follow"]:
            self.assert_success(self.digest(option, *starts), expected)
        unordered = self.digest("-L", "--unordered", *starts)
        self.assertEqual(sorted(unordered.stdout.splitlines()), sorted(expected.splitlines()))
        self.assertEqual((unordered.stderr, unordered.returncode), (b"", 0))
        return names

    def test_links_to_files_are_digested_under_their_own_names(self):
        self.write(b"outside")
        self.write(b"tree/file")
        self.link(b"tree/link", b"file")
        self.link(b"tree/0", b"../outside")
        self.link(b"tree/chain", b"link")
        self.link(b"tree/absolute", self.path(b"outside"))
        self.assertEqual(len(self.assert_followed(b"tree")), 5)

    def test_links_to_folders_are_walked_in_their_turn(self):
        for name in [b"outside/1", b"outside/sub/2", b"tree/a", b"tree/m/b", b"tree/z"]:
            self.write(name)
        self.link(b"tree/link", b"../outside")
        self.link(b"tree/m/again", b"../../outside/sub")
        self.link(b"tree/chain", b"link")
        names = self.assert_followed(b"tree")
        self.assertEqual(names, [b"tree/" + name for name in [
            b"a", b"chain/1", b"chain/sub/2", b"link/1", b"link/sub/2", b"m/again/2", b"m/b", b"z"]])

    def test_links_back_to_a_folder_on_the_way_are_passed_over(self):
        self.write(b"tree/a")
        self.write(b"tree/sub/b")
        self.write(b"tree/sub/deeper/c")
        for name, goal in [(b"tree/here", b"."), (b"tree/sub/up", b".."), (b"tree/sub/deeper/top", b"../.."),
                           (b"tree/sub/deeper/sub", b"../../sub"), (b"tree/again", self.path(b"tree")),
                           (b"tree/sub/chain", b"up")]:
            self.link(name, goal)
        self.assertEqual(self.assert_followed(b"tree"), [b"tree/a", b"tree/sub/b", b"tree/sub/deeper/c"])
        self.assert_followed(b"tree/sub")
        self.assert_followed(b"tree", b"tree/here", b"tree/sub/up/")

    def test_folders_that_link_to_each_other_are_walked_once_on_each_way(self):
        for name in [b"tree/a/1", b"tree/b/2", b"tree/c/3"]:
            self.write(name)
        for one, other in itertools.permutations([b"a", b"b", b"c"], 2):
            self.link(b"tree/" + one + b"/to-" + other, b"../" + other)
        names = self.assert_followed(b"tree")
        self.assertIn(b"tree/a/to-b/to-c/3", names)
        self.assertEqual(len(names), 3 * (1 + 2 + 2))

    def test_a_link_above_the_start_does_not_lead_into_it_again(self):
        self.write(b"above/tree/a")
        self.write(b"above/other/b")
        self.link(b"above/tree/up", b"..")
        self.assertEqual(self.assert_followed(b"above/tree"), [b"above/tree/a", b"above/tree/up/other/b"])

    def test_links_as_arguments_are_followed_with_and_without_it(self):
        self.write(b"tree/x")
        self.link(b"to-file", b"a")
        self.link(b"to-folder", b"tree")
        self.assert_followed(b"to-file", b"to-folder", b"to-folder/")
        self.assert_success(self.digest(b"to-folder", b"to-file"),
                            support.line(b"tree/x", b"to-folder/x") + support.line(b"a", b"to-file"))

    def test_without_it_no_link_on_the_way_is_followed(self):
        self.write(b"tree/x")
        self.link(b"tree/link", b"../a")
        self.link(b"tree/dangling", b"nowhere")
        self.assert_success(self.digest(b"tree"), support.line(b"tree/x", b"tree/x"))

    def test_dangling_links_and_links_in_circles_are_errors(self):
        self.write(b"tree/a")
        self.write(b"tree/z")
        self.link(b"tree/dangling", b"nowhere")
        self.link(b"tree/circle", b"circle")
        self.link(b"tree/d o", b"nowhere")
        for options in [["-L"], ["-L", "--unordered"]]:
            with self.subTest(options=options):
                result = self.digest(*options, b"tree")
                self.assertEqual(sorted(result.stderr.splitlines()), [
                    b"penstock: 'tree/d o': No such file or directory",
                    b"penstock: tree/circle: Too many levels of symbolic links",
                    b"penstock: tree/dangling: No such file or directory"])
                self.assertEqual(sorted(result.stdout.splitlines(keepends=True)),
                                 sorted(support.line(name, name) for name in [b"tree/a", b"tree/z"]))
                self.assertEqual(result.returncode, 1)

    def test_dangling_links_are_reported_in_their_place(self):
        self.write(b"tree/a")
        self.write(b"tree/z")
        self.link(b"tree/m", b"nowhere")
        result = self.digest("-L", b"tree", stderr=subprocess.STDOUT)
        self.assertEqual(result.stdout, support.line(b"tree/a", b"tree/a")
                         + b"penstock: tree/m: No such file or directory\n" + support.line(b"tree/z", b"tree/z"))

    def test_links_to_fifos_sockets_and_devices_are_passed_over(self):
        self.write(b"tree/file")
        os.mkfifo(self.path(b"fifo"))
        self.link(b"tree/to-fifo", b"../fifo")
        self.link(b"tree/to-device", b"/dev/zero")
        self.link(b"tree/to-socket", b"../socket")
        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(self.folder)  # a socket's path is limited to 108 bytes
            listening.bind(b"socket")
            os.chdir(b"/")
            self.assert_followed(b"tree")

    def test_links_to_what_may_not_be_read_are_errors(self):
        self.write(b"tree/file")
        self.write(b"closed/x")
        self.write(b"secret")
        os.chmod(self.path(b"closed"), 0)
        self.addCleanup(os.chmod, self.path(b"closed"), 0o755)
        os.chmod(self.path(b"secret"), 0)
        self.link(b"tree/to-closed", b"../closed")
        self.link(b"tree/to-secret", b"../secret")
        self.link(b"tree/below", b"../closed/x")
        result = self.digest("-L", b"tree", **support.as_ordinary_user())
        self.assertEqual(result.stdout, support.line(b"tree/file", b"tree/file"))
        self.assertEqual(result.stderr.splitlines(), [b"penstock: tree/%s: Permission denied" % name
                                                      for name in [b"below", b"to-closed", b"to-secret"]])
        self.assertEqual(result.returncode, 1)

    def test_long_chains_of_folders_end_where_the_circle_closes(self):
        # The system resolves no more than 40 links in a path, which also sha256sum and find have to get along with.
        for number in range(35):
            self.write(b"ring/%02d/file" % number)
            self.link(b"ring/%02d/next" % number, b"../%02d" % ((number + 1) % 35))
        self.assertEqual(len(self.assert_followed(b"ring/00")), 35)

    def test_folders_from_other_places_may_be_named_in_a_file_of_names(self):
        self.write(b"outside/1")
        self.link(b"tree/link", b"../outside")
        self.assert_success(self.digest("-L", "--files0-from=-", input=b"tree\0a\0"),
                            support.line(b"outside/1", b"tree/link/1") + A)
