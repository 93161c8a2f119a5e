# SPDX-License-Identifier: MIT
"""Options, operands and exit statuses."""

import support


class CommandLine(support.ToolTest):
    def assert_usage_error(self, *arguments, naming):
        result = self.penstock(*arguments)
        self.assertEqual((result.stdout, result.returncode), (b"", 2))
        self.assertRegex(result.stderr, rb"^penstock: .*\nTry 'penstock --help' for more information\.\n$")
        self.assertIn(naming, result.stderr)

    def test_help_tells_the_options_and_the_exit_statuses(self):
        for arguments in [["digest", "--help"], ["digest", "-h"], ["digest", "a", "--help"]]:
            result = self.penstock(*arguments)
            self.assertEqual((result.stderr, result.returncode), (b"", 0))
            for part in [b"digest [OPTIONS] [PATH...]", b"--workers", b"--limit",
                         b"Exit status", b"  0  ", b"  1  ", b"  2  "]:
                self.assertIn(part, result.stdout)

    def test_help_without_a_command_lists_the_commands(self):
        result = self.penstock("--help")
        self.assertEqual((result.stderr, result.returncode), (b"", 0))
        self.assertIn(b"digest", result.stdout)
        self.assertIn(b"Exit status", result.stdout)

    def test_version_is_one_line(self):
        result = self.penstock("--version")
        self.assertRegex(result.stdout, rb"^penstock [0-9]+\.[0-9]+\.[0-9]+\n$")
        self.assertEqual((result.stderr, result.returncode), (b"", 0))

    def test_a_command_line_that_makes_no_sense_is_refused_with_status_2(self):
        self.assert_usage_error(naming=b"subcommand")
        self.assert_usage_error("bogus", naming=b"bogus")
        self.assert_usage_error("", naming=b"command")
        self.assert_usage_error("digest", "--bogus", naming=b"--bogus")
        self.assert_usage_error("digest", "-x", naming=b"-x")
        self.assert_usage_error("digest", "-j", naming=b"workers")
        for text in ["0", "-1", "x", "4x", "", " 4", "0x4", "1.5", "99999", "18446744073709551617", "+4"]:
            with self.subTest(text=text):
                self.assert_usage_error("digest", "-j", text, naming=b"workers")
        self.assert_usage_error("digest", "--limit=0", naming=b"limit")
        self.assert_usage_error("digest", "--limit=-1", naming=b"limit")

    def test_a_usage_message_sends_no_control_bytes_to_the_terminal(self):
        self.assert_usage_error("digest", b"--\x1b[31m\xff", naming=b"\\033[31m\\377")
        self.assert_usage_error(b"\x1b]0;title\x07", naming=b"\\033]0;title\\a")

    def test_options_may_stand_anywhere_before_a_double_dash(self):
        self.write(b"a")
        self.write(b"b")
        expected = support.line(b"a", b"a") + support.line(b"b", b"b")
        for arguments in [["-j", "1", "a", "b"], ["a", "-j", "1", "b"], ["a", "b", "-j1"], ["a", "--limit", "5", "b"],
                          ["a", "--workers=2", "--", "b"], ["--limit=5", "-j2", "--", "a", "b"]]:
            with self.subTest(arguments=arguments):
                self.assert_success(self.digest(*arguments), expected)

    def test_behind_a_double_dash_everything_is_a_file(self):
        for name in [b"-j", b"--", b"--help", b"-"]:
            self.write(name)
        self.assert_success(self.digest("--", "-j", "--", "--help"),
                            b"".join(support.line(name, name) for name in [b"-j", b"--", b"--help"]))
        self.assert_success(self.digest("--", "-", input=b"stdin"), support.line(b"stdin", b"-"))

    def test_the_last_of_an_option_counts(self):
        self.write(b"a")
        self.assert_success(self.digest("-j", "1", "-j", "2", "--limit=3", "--limit=4", "a"), support.line(b"a", b"a"))

    def test_an_empty_environment_and_no_program_name_do_no_harm(self):
        self.write(b"a")
        command = ["env", "-i", support.BINARY, "digest", "a"]
        self.assert_success(self.run_program(command, env={"PATH": "/usr/bin:/bin"}), support.line(b"a", b"a"))
        nameless = self.run_program([], executable=support.BINARY)
        self.assertEqual(nameless.returncode, 2)
