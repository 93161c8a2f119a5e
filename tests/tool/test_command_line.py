# SPDX-License-Identifier: MIT
"""The program itself: help, version, its commands, and what is refused."""
import os

import support


class CommandLine(support.ToolTest):
    def assert_refused(self, *arguments, naming=b"", helper=b"penstock"):
        result = self.penstock(*arguments)
        self.assertEqual((result.stdout, result.returncode), (b"", 1))
        self.assertRegex(result.stderr, rb"^penstock: .*\nTry '%s --help' for more information\.\n$" % helper)
        self.assertIn(naming, result.stderr)
        return result

    def test_help_of_a_command_tells_its_options_and_exit_statuses(self):
        for arguments in [["--help"], ["a", "--help"], ["--help", "--bogus"], ["--hel"], ["--quiet", "--help"]]:
            with self.subTest(arguments=arguments):
                result = self.penstock("digest", *arguments)
                self.assertEqual((result.stderr, result.returncode), (b"", 0))
                for part in [b"penstock digest [OPTION]... [PATH]...", b"penstock digest -c [OPTION]... [LIST]...",
                             b"-b", b"--binary", b"-t", b"--text", b"--tag", b"-z", b"--zero", b"--files0-from=",
                             b"--unordered", b"-L", b"--follow", b"-c", b"--check", b"--quiet", b"--status",
                             b"--ignore-missing", b"--strict", b"-w", b"--warn", b"-j", b"--workers=", b"--limit=",
                             b"--buffer=", b"--progress", b"--no-progress", b"--verbose", b"--help", b"--version",
                             b"130"]:
                    self.assertIn(part, result.stdout)

    def test_help_without_a_command_lists_the_commands(self):
        result = self.penstock("--help")
        self.assertEqual((result.stderr, result.returncode), (b"", 0))
        self.assertIn(b"digest", result.stdout)

    def test_help_fits_a_terminal(self):
        for arguments in [["--help"], ["digest", "--help"]]:
            for line in self.penstock(*arguments).stdout.split(b"\n"):
                self.assertLessEqual(len(line), 80, line)

    def test_version_is_told_with_and_without_a_command(self):
        for arguments in [["--version"], ["digest", "--version"], ["digest", "a", "--vers", "--bogus"],
                          ["digest", "--v"], ["digest", "--ve"], ["digest", "--ver"]]:
            with self.subTest(arguments=arguments):
                result = self.penstock(*arguments)
                self.assertRegex(result.stdout, rb"^penstock [0-9]+\.[0-9]+\.[0-9]+\n")
                self.assertEqual((result.stderr, result.returncode), (b"", 0))

    def test_whichever_of_help_and_version_comes_first_is_given(self):
        for first, second in [("--help", "--version"), ("--version", "--help")]:
            for command in [[], ["digest"]]:
                with self.subTest(first=first, command=command):
                    self.assertEqual(self.penstock(*command, first, second).stdout,
                                     self.penstock(*command, first).stdout)

    def test_a_command_line_without_a_known_command_is_refused(self):
        self.assert_refused()
        self.assert_refused("bogus", naming=b"bogus")
        self.assert_refused("bogus", "--help", naming=b"bogus")
        self.assert_refused("digests", naming=b"digests")
        self.assert_refused("diges", naming=b"diges")
        self.assert_refused("Digest", naming=b"Digest")
        self.assert_refused("")
        self.assert_refused("--bogus", naming=b"unrecognized option '--bogus'")
        self.assert_refused("--bogus", "digest", naming=b"unrecognized option '--bogus'")
        self.assert_refused("-x", naming=b"invalid option -- 'x'")
        self.assert_refused("-j", "1", "digest", naming=b"invalid option -- 'j'")

    def test_a_wrong_option_of_a_command_points_to_the_help_of_the_command(self):
        self.assert_refused("digest", "--bogus", naming=b"unrecognized option '--bogus'", helper=b"penstock digest")
        self.assert_refused("digest", "-x", naming=b"invalid option -- 'x'", helper=b"penstock digest")
        self.assert_refused("digest", "-j", naming=b"requires an argument -- 'j'", helper=b"penstock digest")
        self.assert_refused("digest", "-jx", naming=b"workers: 'x'", helper=b"penstock digest")

    def test_a_command_is_an_operand_behind_itself(self):
        self.write(b"digest")
        self.assert_success(self.penstock("digest", "digest"), support.line(b"digest", b"digest"))

    def test_an_unknown_command_sends_no_control_bytes_to_the_terminal(self):
        result = self.assert_refused(b"\x1b]0;title\x07\xff")
        for byte in [b"\x1b", b"\x07", b"\xff"]:
            self.assertNotIn(byte, result.stderr)

    def test_an_empty_environment_does_no_harm(self):
        self.write(b"a")
        result = self.run_program(["env", "-i", support.BINARY, "digest", "a"], env={"PATH": "/usr/bin:/bin"})
        self.assert_success(result, support.line(b"a", b"a"))

    def test_the_name_it_was_started_by_does_not_matter(self):
        os.symlink(support.BINARY, self.path(b"other"))
        for command in [[self.path(b"other"), "digest", "missing"], ["-sh", "digest", "missing"]]:
            with self.subTest(command=command):
                result = self.run_program(command, executable=support.BINARY)
                self.assertEqual(result.stderr, b"penstock: missing: No such file or directory\n")
                self.assertEqual((result.stdout, result.returncode), (b"", 1))

    def test_no_arguments_at_all_not_even_a_name_are_refused(self):
        result = self.run_program([], executable=support.BINARY)
        self.assertEqual((result.stdout, result.returncode), (b"", 1))
