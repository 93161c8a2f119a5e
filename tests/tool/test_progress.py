# SPDX-License-Identifier: MIT
"""Progress on stderr: when it is shown, what it says, and that nothing else on the terminal suffers from it.

A FIFO as argument keeps the program waiting for as long as a test wants.
"""
import os
import re
import signal
import subprocess
import time

import faults
import running
import support
import terminal

STATE = re.compile(rb"([0-9,]+) files?, ([0-9.]+) ([KMGT]?i?B), [0-9.]+ [KMGT]?i?B/s, ([0-9,]+) errors?"
                   rb"(?:, ([0-9]+) %)?")
UNITS = {b"B": 1, b"KiB": 1 << 10, b"MiB": 1 << 20, b"GiB": 1 << 30, b"TiB": 1 << 40}


class ProgressTest(support.ToolTest):
    def setUp(self):
        super().setUp()
        self.log = open(self.path(b"log"), "w+b")  # for streams that are not to be the terminal
        self.addCleanup(self.log.close)

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def make_fifo(self, name=b"fifo"):
        os.mkfifo(self.path(name))
        return name

    def fill(self, name=b"fifo", content=b"x"):
        number = running.open_when_read(self.path(name))
        os.write(number, content)
        os.close(number)

    def make_sparse(self, name, size):
        self.write(name, b"")
        os.truncate(self.path(name), size)
        return name

    def wait_as_long_as_drawing_takes(self):
        """Waits until a second program, started now, has drawn: a first one that draws has done so by then."""
        witness = terminal.Terminal(self)
        process = witness.start_digest("--progress", self.make_fifo(b"witness"))
        witness.wait_for_states(2)
        self.fill(b"witness")
        witness.wait_for_end(process)
        os.remove(self.path(b"witness"))

    def parsed(self, state):
        """(files, bytes, errors, percentage or None)"""
        fields = STATE.fullmatch(state)
        self.assertIsNotNone(fields, state)
        files, amount, unit, errors, percentage = fields.groups()
        return (int(files.replace(b",", b"")), float(amount) * UNITS[unit], int(errors.replace(b",", b"")),
                None if percentage is None else int(percentage))


class Occasion(ProgressTest):
    """When progress is shown and when not."""

    def assert_silent(self, arguments, **settings):
        """Nothing comes to the terminal while another program draws on its own, and nothing after that."""
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest(*arguments, "fifo", **settings)
        self.wait_as_long_as_drawing_takes()
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        return shown.received

    def test_on_a_terminal_progress_is_drawn_and_gone_at_the_end(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest("fifo", stdout=self.log)
        shown.wait_for_states()
        self.assertRegex(shown.last_drawn().text(), rb"^0 files, 0 B, 0 B/s, 0 errors$")
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual(shown.screen().text(), b"")
        self.assertEqual(self.logged(), support.line(b"x", b"fifo"))

    def test_progress_that_is_asked_for_leaves_its_last_state(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest("--progress", "fifo", stdout=self.log)
        shown.wait_for_states()
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertRegex(shown.screen().text(), rb"^1 file, 1 B, [0-9]+ B/s, 0 errors\n$")

    def test_nothing_is_drawn_within_the_first_300_milliseconds(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        start = time.monotonic()
        process = shown.start_digest("fifo", stdout=self.log)
        shown.wait_until(lambda: shown.received != b"")
        self.assertGreaterEqual(time.monotonic() - start, 0.3)
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)

    def test_of_the_two_options_the_last_counts(self):
        self.write(b"a")
        result = self.digest("--no-progress", "--progress", "a")
        self.assertRegex(result.stderr, rb"^1 file, 1 B, .*, 0 errors, 100 %\n$")
        self.assert_success(self.digest("--progress", "--no-progress", "a"), support.line(b"a", b"a"))

    def test_nothing_is_drawn_if_it_is_not_wanted(self):
        self.assertEqual(self.assert_silent(["--no-progress"]), support.line(b"x", b"fifo").replace(b"\n", b"\r\n"))

    def test_nothing_is_drawn_on_a_dumb_terminal(self):
        self.assertEqual(self.assert_silent([], stdout=self.log, TERM="dumb"), b"")

    def test_nothing_is_drawn_on_an_unknown_terminal(self):
        self.assertEqual(self.assert_silent([], stdout=self.log, TERM=None), b"")

    def test_nothing_is_shown_if_stderr_is_a_file_and_stdout_a_terminal(self):
        self.assertEqual(self.assert_silent([], stderr=self.log), support.line(b"x", b"fifo").replace(b"\n", b"\r\n"))
        self.assertEqual(self.logged(), b"")

    def test_nothing_is_shown_if_stderr_is_a_pipe(self):
        self.make_fifo()
        process = self.start_digest("fifo")
        self.wait_as_long_as_drawing_takes()
        self.fill()
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (support.line(b"x", b"fifo"), b""))


class Background(ProgressTest):
    """A shell with job control runs the program on the terminal of its session."""

    def start_shell(self, script):
        self.addCleanup(running.release_readers, self.path(self.make_fifo()))
        os.mkfifo(self.path(b"gate"))
        shown = terminal.Terminal(self)
        shown.stop_writers_in_background()  # so that the program would not end, were it to write
        return shown, shown.start(["sh", "-c", "set -m; " + script, support.BINARY], stdout=self.log, controlling=True)

    def assert_nothing_more_comes(self, shown):
        before = shown.received
        self.wait_as_long_as_drawing_takes()
        shown.receive(0)
        self.assertEqual(shown.received, before)

    def test_nothing_is_drawn_in_the_background(self):
        shown, process = self.start_shell('"$0" digest fifo & wait "$!"')
        self.assert_nothing_more_comes(shown)
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual((shown.received, self.logged()), (b"", support.line(b"x", b"fifo")))

    def test_a_program_that_comes_to_the_foreground_begins_to_draw(self):
        shown, process = self.start_shell('"$0" digest fifo & read -r go <gate; fg >&2')
        self.assert_nothing_more_comes(shown)
        self.fill(b"gate", b"go\n")
        shown.wait_for_states(2)
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual(self.logged(), support.line(b"x", b"fifo"))

    def test_a_program_that_is_sent_to_the_background_draws_no_more(self):
        shown, process = self.start_shell('"$0" digest fifo; bg >gate; wait "%1"')
        shown.wait_for_states()
        shown.type(b"\x1a")
        with open(self.path(b"gate"), "rb") as gate:
            self.assertIn(b"digest", gate.read())
        shown.receive(0)
        self.assert_nothing_more_comes(shown)
        self.fill()
        before = shown.received
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual((shown.received, self.logged()), (before, support.line(b"x", b"fifo")))


class Plain(ProgressTest):
    """Progress that is asked for where nothing can be drawn: lines."""

    def assert_plain(self, shown, seconds):
        """Lines without any control byte, not more than one a second and one at the end."""
        self.assertRegex(shown, rb"^(?:[ -~]+\n)+$")
        lines = shown.splitlines()
        states = [self.parsed(line) for line in lines]
        self.assertEqual(states, sorted(states))
        self.assertEqual(states[-1], (2, 2, 0, None))
        self.assertLessEqual(len(lines), seconds + 1)

    def test_a_file_a_pipe_and_terminals_that_can_not_redraw_get_plain_lines(self):
        self.write(b"a")
        unused = open(os.devnull, "wb")
        self.addCleanup(unused.close)
        for number in range(4):
            self.make_fifo(b"fifo%d" % number)
        dumb, unknown = terminal.Terminal(self), terminal.Terminal(self)
        start = time.monotonic()
        to_file = self.start_digest("--progress", "a", "fifo0", stdout=unused, stderr=self.log)
        to_pipe = self.start_digest("--progress", "a", "fifo1", stdout=unused)
        to_dumb = dumb.start_digest("--progress", "a", "fifo2", stdout=unused, TERM="dumb")
        to_unknown = unknown.start_digest("--progress", "a", "fifo3", stdout=unused, TERM=None)
        dumb.wait_for_states(2)
        unknown.wait_for_states(2)
        for number in range(4):
            self.fill(b"fifo%d" % number)
        piped = to_pipe.communicate(timeout=support.PATIENCE)[1]
        statuses = [dumb.wait_for_end(to_dumb), unknown.wait_for_end(to_unknown), to_file.wait(support.PATIENCE)]
        seconds = time.monotonic() - start
        self.assertEqual(statuses + [to_pipe.returncode], [0] * 4)
        for shown in [self.logged(), piped] + [each.received.replace(b"\r\n", b"\n") for each in (dumb, unknown)]:
            self.assert_plain(shown, seconds)

    def test_a_run_that_is_short_gets_one_line(self):
        self.write(b"a")
        result = self.digest("--progress", "a", "missing")
        self.assertEqual(result.stdout, support.line(b"a", b"a"))
        message, state = result.stderr.splitlines()
        self.assertEqual(message, b"penstock: missing: No such file or directory")
        self.assertRegex(state, rb"^2 files, 1 B, .*, 1 error$")


class Contents(ProgressTest):
    """What progress says."""

    def test_files_bytes_and_errors_are_counted(self):
        for number in range(1500):
            self.write(b"tree/%04d" % number, b"x" * 1000)
        self.make_fifo()
        missing = [b"missing %d" % number for number in range(1100)]
        result = self.digest("--progress", "tree", *missing, stdout=self.log)
        files, amount, errors, percentage = self.parsed(result.stderr.splitlines()[-1])
        self.assertEqual((files, errors, percentage), (2600, 1100, None))
        self.assertAlmostEqual(amount, 1_500_000, delta=60_000)
        self.assertIn(b"2,600 files, 1.4 MiB, ", result.stderr)
        self.assertIn(b", 1,100 errors\n", result.stderr)

    def test_bytes_from_stdin_are_counted_as_they_come(self):
        shown = terminal.Terminal(self)
        process = shown.start_digest("--progress", stdin=subprocess.PIPE, stdout=self.log)
        process.stdin.write(b"x" * 20_480)
        process.stdin.flush()
        shown.wait_until(lambda: b"0 files, 20 KiB, " in shown.received)
        process.stdin.write(b"x" * 2_560)
        process.stdin.close()
        process.stdin = None
        shown.wait_for_end(process)
        self.assertRegex(shown.screen().text(), rb"^1 file, 2[23] KiB, ")

    def test_checked_files_are_counted(self):
        for number in range(20):
            self.write(b"%02d" % number, b"x")
        lines = self.sha256sum(*[b"%02d" % number for number in range(20)]).stdout
        os.remove(self.path(b"07"))
        self.write(b"11", b"y")
        result = self.digest("--progress", "--check", input=lines + b"nonsense\n" * 3)
        self.assertEqual(result.stdout.count(b": OK\n"), 18)
        states = [line for line in result.stderr.splitlines() if STATE.fullmatch(line)]
        files, amount, _, _ = self.parsed(states[-1])
        self.assertEqual(files, 20)
        self.assertLess(amount, 20 + 2 * len(lines))  # the list may count

    def test_a_file_that_grows_does_not_make_more_than_100_percent(self):
        self.write(b"a")
        self.write(b"last", b"")
        read_end, write_end = support.small_pipe()
        process = self.start_digest("--progress", "--limit=1", "--buffer=0", *["a"] * 200, "last", stdout=write_end)
        os.close(write_end)
        support.wait_until_stalled(read_end)
        os.truncate(self.path(b"last"), 1 << 20)
        with open(read_end, "rb") as output:
            self.assertEqual(output.read(), 200 * support.line(b"a", b"a") + support.line(bytes(1 << 20), b"last"))
        states = [self.parsed(line) for line in process.communicate(timeout=support.PATIENCE)[1].splitlines()]
        self.assertEqual((states[-1][0], states[-1][3]), (201, 100))
        self.assertLessEqual(max(percentage for *_, percentage in states), 100)

    def test_there_is_no_percentage_unless_all_paths_are_regular_files(self):
        self.write(b"a")
        self.write(b"tree/b")
        self.assertRegex(self.digest("--progress", "a", "tree/b").stderr, rb", 100 %\n$")
        for arguments in [["tree", "a"], ["a", "-"], ["/dev/null", "a"], ["tree"]]:
            with self.subTest(arguments=arguments):
                state = self.digest("--progress", *arguments).stderr.splitlines()[-1]
                self.assertIsNone(self.parsed(state)[3])

    def test_files_without_content_are_all_done_at_the_end(self):
        self.write(b"a", b"")
        state = self.digest("--progress", "a", "a").stderr.splitlines()[-1]
        self.assertEqual(self.parsed(state)[:3], (2, 0, 0))
        self.assertIn(self.parsed(state)[3], [None, 100])


class Percentage(ProgressTest, faults.FaultTest):
    def test_the_percentage_of_regular_files_rises_to_100(self):
        names = [self.write(b"%d" % number, b"x") for number in range(50)]
        shown = terminal.Terminal(self)
        process = shown.start_digest("--progress", *names, stdout=self.log,
                                     **{**self.holding([b"49"]), "TERM": "xterm", "NO_COLOR": None})
        shown.wait_for_states(2)
        self.release()
        self.assertEqual(shown.wait_for_end(process), 0)
        states = [self.parsed(state) for state in shown.states()]
        percentages = [percentage for *_, percentage in states]
        self.assertEqual(percentages, sorted(percentages))
        self.assertLess(percentages[0], 100)
        self.assertEqual(states[-1], (50, 50, 0, 100))


class Bound(ProgressTest, faults.FaultTest):
    """What --verbose adds: what the work is bound by, and what to turn."""
    FEW = ["-j2", "--limit=2", "--buffer=2"]
    PLAIN = rb"^[0-9]+ files?, .*, 0 errors, [0-9]+ %, bound by [a-z]+(?: \([-a-z ]+\))?\n$"

    def setUp(self):
        super().setUp()
        self.names = [self.write(b"%d" % number, b"x") for number in range(20)]
        self.list = b"".join(support.line(b"x", name) for name in self.names)
        self.write(b"list", self.list)

    def start_verbose(self, *arguments, held=(), **settings):
        """The program on a terminal. It begins to read the files that are held, and can go on with none."""
        shown = terminal.Terminal(self)
        settings = {"stdout": self.log, **self.holding(held), "TERM": "xterm", "NO_COLOR": None, **settings}
        return shown, shown.start_digest("--verbose", *arguments, **settings)

    def wait_for_bound(self, shown, bound):
        shown.wait_until(lambda: shown.states() and shown.states()[-1].endswith(b", bound by " + bound))

    def assert_bound(self, bound, *options, held):
        """While some files are held, whether all are to be digested or checked."""
        for arguments in [self.names, ["--check", "list"]]:
            with self.subTest(options=options, arguments=arguments):
                shown, process = self.start_verbose(*options, *arguments, held=held)
                self.wait_for_bound(shown, bound)
                self.release()
                self.assertEqual(shown.wait_for_end(process), 0)

    def assert_bound_in_both_orders(self, bound, *options, held):
        self.assert_bound(bound, *options, held=held)
        self.assert_bound(bound, "--unordered", *options, held=held)

    def test_with_a_file_for_every_worker_it_is_bound_by_the_workers(self):
        self.assert_bound_in_both_orders(b"workers (-j)", "-j1", held=[b"0"])
        self.assert_bound_in_both_orders(b"workers (-j)", "-j2", held=[b"0", b"1"])

    def test_with_as_many_files_in_flight_as_may_be_it_is_bound_by_the_limit(self):
        self.assert_bound_in_both_orders(b"limit (--limit)", "-j2", "--limit=1", held=[b"0"])
        self.assert_bound_in_both_orders(b"limit (--limit)", "-j4", "--limit=2", held=[b"0", b"1"])

    def test_with_as_many_files_in_flight_as_may_be_open_it_is_bound_by_descriptors(self):
        shown = terminal.Terminal(self)
        self.write(b".hold")
        held = faults.preloading(self.root, self.path(b".struck"), [faults.always("read", "hold")])
        process = shown.start(["sh", "-c", 'ulimit -n 30; exec "$0" "$@"', support.BINARY, "digest", "--verbose",
                               "-j64", *self.names], stdout=self.log, **{**held, "TERM": "xterm"})
        self.wait_for_bound(shown, b"descriptors (ulimit -n)")
        self.release()
        self.assertEqual(shown.wait_for_end(process), 0)

    def test_while_names_are_awaited_it_is_bound_by_names(self):
        for order in [[], ["--unordered"]]:
            for option, text in [("--files0-from", b"0\0"), ("--check", support.line(b"x", b"0"))]:
                with self.subTest(order=order, option=option):
                    shown, process = self.start_verbose(*order, option, "/dev/stdin", stdin=subprocess.PIPE)
                    self.wait_for_bound(shown, b"names")
                    process.stdin.write(text)
                    process.stdin.flush()
                    shown.wait_until(lambda: shown.states()[-1].startswith(b"1 file, "))
                    self.wait_for_bound(shown, b"names")
                    process.stdin.close()
                    process.stdin = None
                    self.assertEqual(shown.wait_for_end(process), 0)

    def test_while_results_wait_for_a_slow_file_it_is_bound_by_order(self):
        self.assert_bound(b"order (--unordered)", *self.FEW, held=[b"0"])
        self.assert_bound(b"order (--unordered)", "-j2", "--limit=2", "--buffer=0", held=[b"0"])

    def assert_bound_by_buffer(self, *options, held=()):
        """While nobody reads the lines. Files that are held are read after all, once the others wait for them."""
        self.write(b"long list", self.list * 100)
        for arguments in [self.names * 100, ["--check", "long list"]]:
            with self.subTest(options=options, arguments=arguments[:2]):
                read_end, write_end = support.small_pipe()
                shown, process = self.start_verbose(*self.FEW, *options, *arguments, held=held, stdout=write_end)
                os.close(write_end)
                if held:
                    self.wait_for_bound(shown, b"order (--unordered)")
                self.release()
                self.wait_for_bound(shown, b"buffer (--buffer)")
                with open(read_end, "rb") as lines:
                    self.assertEqual(lines.read().count(b"\n"), 2000)
                self.assertEqual(shown.wait_for_end(process), 0)

    def test_while_nobody_reads_the_lines_it_is_bound_by_the_buffer(self):
        self.assert_bound_by_buffer()
        self.assert_bound_by_buffer("--unordered")

    def test_a_slow_file_is_forgotten_when_its_line_has_been_printed(self):
        self.assert_bound_by_buffer(held=[b"0"])

    def test_with_the_last_file_it_is_bound_by_nothing(self):
        self.assert_bound_in_both_orders(b"nothing", held=[b"19"])

    def test_the_last_state_tells_what_it_was_bound_by_most_of_the_time(self):
        shown, process = self.start_verbose("--progress", "-j1", *self.names, held=[b"0"])
        self.wait_for_bound(shown, b"workers (-j)")
        shown.wait_for_states(2 * len(shown.states()) + 10)
        self.release()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertRegex(shown.screen().text(), rb"^20 files, .*, 0 errors, 100 %, bound by workers \(-j\)\n$")

    def test_without_the_option_nothing_is_said_of_it(self):
        for arguments in [self.names, ["--check", "list"]]:
            with self.subTest(arguments=arguments):
                shown = terminal.Terminal(self)
                process = shown.start_digest("-j1", *arguments, stdout=self.log,
                                             **{**self.holding([b"0"]), "TERM": "xterm", "NO_COLOR": None})
                shown.wait_for_states(2)
                self.release()
                self.assertEqual(shown.wait_for_end(process), 0)
                for state in shown.states():
                    self.parsed(state)

    def test_it_changes_neither_lines_nor_messages_nor_status(self):
        lines = b"".join(support.line(b"x", name) for name in self.names)
        self.assert_success(self.digest("--verbose", *self.names), lines)
        self.assert_success(self.digest("--verbose", "--no-progress", *self.names), lines)
        for option in ["--verbose", "--no-progress"]:
            result = self.digest(option, "0", "missing")
            self.assertEqual((result.stdout, result.returncode), (support.line(b"x", b"0"), 1))
            self.assertEqual(result.stderr, b"penstock: missing: No such file or directory\n")

    def test_elsewhere_than_on_a_terminal_the_lines_tell_it_too(self):
        process = self.start_holding([b"0"], "--progress", "--verbose", "-j1", *self.names)
        state = process.stderr.readline()
        while not state.endswith(b", bound by workers (-j)\n"):
            self.assertRegex(state, self.PLAIN)
            state = process.stderr.readline()
        self.release()
        output, rest = process.communicate(timeout=support.PATIENCE)
        self.assertEqual(output, b"".join(support.line(b"x", name) for name in self.names))
        for state in rest.splitlines(keepends=True):
            self.assertRegex(state, self.PLAIN)


class Drawing(ProgressTest):
    """How progress is drawn on a terminal."""

    def coloured_parts(self, *arguments, **variables):
        name = self.make_fifo(b"fifo%d" % len(os.listdir(self.folder)))
        shown = terminal.Terminal(self)
        process = shown.start_digest("--progress", *arguments, name, stdout=self.log, **variables)
        errors = arguments.count("missing")
        wanted = re.compile(rb" %d error%s(?:, bound by .*)?" % (errors, b"" if errors == 1 else b"s"))
        shown.wait_until(lambda: shown.states() and re.search(wanted.pattern + rb"$", shown.states()[-1]))
        drawn = shown.last_drawn().coloured()
        self.fill(name)
        shown.wait_for_end(process)
        self.assertEqual(shown.screen().coloured(), drawn)
        self.assertEqual(shown.screen().colour, b"")
        return drawn

    def test_errors_are_red(self):
        (colour, text), = self.coloured_parts("missing", "missing")
        self.assertEqual(text, b"2 errors")
        self.assertIn(b"31", colour.split(b";"))
        self.assertEqual([text for _, text in self.coloured_parts("--verbose", "missing", "missing")], [b"2 errors"])

    def test_what_is_no_error_is_not_coloured(self):
        self.assertEqual(self.coloured_parts(), [])

    def test_no_color_is_respected_unless_it_is_empty(self):
        self.assertEqual(self.coloured_parts("missing", NO_COLOR="1"), [])
        self.assertEqual([text for _, text in self.coloured_parts("missing", NO_COLOR="")], [b"1 error"])

    def test_no_state_is_wider_than_the_terminal(self):
        screens = []
        for columns, options in [(1, []), (2, []), (20, []), (40, []), (48, []), (80, []), (48, ["--verbose"]),
                                 (60, ["--verbose"]), (64, ["--verbose"])]:
            fifo = self.make_fifo(b"fifo%d" % len(screens))
            shown = terminal.Terminal(self, columns)
            process = shown.start_digest("missing", "--progress", *options, fifo, stdout=self.log)
            screens.append((columns, options, shown, process, fifo))
        for columns, options, shown, process, fifo in screens:
            with self.subTest(columns=columns, options=options):
                shown.wait_until(lambda: shown.received.count(b"\r") > 5)
                self.fill(fifo)
                shown.wait_for_end(process)
                self.assertTrue(shown.screen().text().startswith(b"penstock: missing: No such file or directory\n"))
                self.assertLessEqual(len(shown.screen().text().splitlines()), 2)
                for state in shown.states():
                    self.assertLessEqual(len(state), columns)

    def test_a_terminal_that_shrinks_gets_a_shorter_line(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest("fifo", stdout=self.log)
        shown.wait_for_states()
        shown.resize(20)
        shown.wait_until(lambda: len(shown.states()[-1]) <= 20)
        shown.resize(80)
        shown.wait_until(lambda: len(shown.states()[-1]) > 20)
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)

    def test_a_terminal_that_does_not_know_its_size_gets_progress(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        shown.resize(0)
        process = shown.start_digest("fifo", stdout=self.log)
        shown.wait_for_states()
        self.assertIsNotNone(STATE.fullmatch(shown.states()[-1]))
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual(shown.screen().text(), b"")


class Together(ProgressTest):
    """Lines, messages and progress on one terminal."""

    def start_fed(self, shown, *options):
        """The program, and a function that gives it a name and returns what is to come of it."""
        self.write(b"file")
        process = shown.start_digest(*options, "--files0-from=-", stdin=subprocess.PIPE)
        self.fed = 0

        def feed():
            self.fed += 1
            name = b"missing%d" % self.fed if self.fed % 3 == 0 else b"file"
            process.stdin.write(name + b"\0")
            process.stdin.flush()
            if name == b"file":
                return support.line(b"file", b"file")
            return b"penstock: " + name + b": No such file or directory\n"
        return process, feed

    def end_of_names(self, process):
        process.stdin.close()
        process.stdin = None

    def test_lines_and_messages_stay_whole_and_progress_leaves_nothing(self):
        for columns in [20, 80]:
            with self.subTest(columns=columns):
                shown = terminal.Terminal(self, columns)
                process, feed = self.start_fed(shown)
                expected = b""
                while len(shown.states()) < 5 or self.fed < 3:  # the third is the one that is missing
                    expected += feed()
                    shown.receive(0.02)
                self.end_of_names(process)
                self.assertEqual(shown.wait_for_end(process), 1)
                self.assertEqual(shown.screen().text(), expected)
                self.assertEqual((shown.screen().column, shown.screen().colour), (0, b""))

    def test_lines_and_messages_stay_whole_above_the_last_state(self):
        shown = terminal.Terminal(self, 40)
        process, feed = self.start_fed(shown, "--progress")
        expected = b"".join(feed() for _ in range(300))
        while len(shown.states()) < 3:
            expected += feed()
            shown.receive(0.02)
        self.end_of_names(process)
        self.assertEqual(shown.wait_for_end(process), 1)
        lines, state = shown.screen().text()[:-1].rsplit(b"\n", 1)
        self.assertEqual(lines + b"\n", expected)
        self.assertTrue(state.startswith(f"{self.fed:,} files, ".encode()), state)

    def test_lines_that_end_with_nul_stay_whole(self):
        self.write(b"a")
        shown = terminal.Terminal(self)
        process = shown.start_digest("--zero", "a", self.make_fifo(), "missing")
        self.wait_as_long_as_drawing_takes()
        self.fill()
        self.assertEqual(shown.wait_for_end(process), 1)
        text = shown.screen().text().replace(b"\n", b"")  # a message may begin a line of its own or not
        self.assertEqual(text, (support.line(b"a", b"a") + support.line(b"x", b"fifo")).replace(b"\n", b"")
                         + b"penstock: missing: No such file or directory")

    def test_progress_is_drawn_ten_times_a_second_at_most_however_many_lines_come(self):
        shown = terminal.Terminal(self, 80)
        start = time.monotonic()
        process, feed = self.start_fed(shown, "--progress")
        while len(shown.states()) < 8 or self.fed < 3:
            feed()
            shown.receive(0.005)
        self.end_of_names(process)
        self.assertEqual(shown.wait_for_end(process), 1)
        seconds = time.monotonic() - start
        self.assertLessEqual(len(shown.states()), 10 * seconds + 1)

    def test_check_results_and_warnings_stay_whole(self):
        self.write(b"a")
        self.write(b"b")
        self.make_fifo()
        lines = support.line(b"a", b"a") + support.line(b"wrong", b"b") + b"nonsense\n"
        shown = terminal.Terminal(self, 50)
        process = shown.start_digest("--check", stdin=subprocess.PIPE)
        process.stdin.write(lines)
        process.stdin.flush()
        shown.wait_for_states(2)
        self.end_of_names(process)
        self.assertEqual(shown.wait_for_end(process), 1)
        self.assertEqual(shown.screen().text(), b"a: OK\nb: FAILED\n"
                         b"penstock: WARNING: 1 line is improperly formatted\n"
                         b"penstock: WARNING: 1 computed checksum did NOT match\n")

    def test_progress_goes_on_while_nobody_reads_the_output(self):
        self.write(b"a")
        read_end, write_end = support.small_pipe()
        shown = terminal.Terminal(self)
        process = shown.start_digest(*["a"] * 200, stdout=write_end)
        os.close(write_end)
        support.wait_until_stalled(read_end)
        shown.wait_for_states(3)
        with open(read_end, "rb") as lines:
            self.assertEqual(lines.read(), 200 * support.line(b"a", b"a"))
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual(shown.screen().text(), b"")

    def assert_gone_after(self, end, process, shown, status, rest=b""):
        shown.wait_for_states()
        end()
        self.assertEqual(shown.wait_for_end(process), status)
        self.assertEqual(shown.screen().text(), rest)

    def test_progress_is_gone_after_an_interruption(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest("missing", "fifo", stdout=self.log)
        shown.wait_until(lambda: b"No such file" in shown.received)  # a file that is not begun yet gets no message
        self.assert_gone_after(lambda: process.send_signal(signal.SIGINT), process, shown, 130,
                               b"penstock: missing: No such file or directory\n")

    def test_progress_is_gone_when_nobody_reads_the_output(self):
        self.write(b"a")
        self.make_fifo()
        shown = terminal.Terminal(self)
        process = shown.start_digest("a", "fifo", stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        output, process.stdout = process.stdout, None
        self.assert_gone_after(output.close, process, shown, -signal.SIGPIPE)

    def test_progress_is_gone_when_the_output_can_not_be_written(self):
        self.make_fifo()
        shown = terminal.Terminal(self)
        with open("/dev/full", "wb") as full:
            process = shown.start_digest("fifo", stdout=full)
        self.assert_gone_after(self.fill, process, shown, 1, b"penstock: write error: No space left on device\n")
