# SPDX-License-Identifier: MIT
"""What ends the program early: signals, and that nobody reads its output."""
import itertools
import os
import random
import signal
import socket
import subprocess
import threading
import time

import faults
import running
import support
import terminal

ENDLESS = 1 << 40  # takes longer than any test waits
MOMENT = 0.03  # seconds; a signal that another process sends again within this time is the same wish


class SignalTest(support.ToolTest):
    def start(self, *arguments, ignoring=(), **settings):
        return self.start_watched(*arguments, preexec_fn=lambda: running.use_default_signals(ignoring), **settings)

    def make_sparse(self, name, size):
        self.write(name, b"")
        os.truncate(self.path(name), size)
        return name

    def make_fifo(self, name=b"fifo"):
        os.mkfifo(self.path(name))
        return name

    def fill(self, name, content):
        number = running.open_when_read(self.path(name))
        os.write(number, content)
        os.close(number)

    def assert_outcome(self, process, status, output=b"", messages=b""):
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (output, messages))
        self.assertEqual(process.returncode, status)


def send_and_wait(process, number):
    """Sends a signal and waits until the program has taken it: a second one before that would be lost."""
    process.send_signal(number)

    def is_taken():
        with open(f"/proc/{process.pid}/status", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines())
        pending = int(fields[b"SigPnd"], 16) | int(fields[b"ShdPnd"], 16)
        return pending & 1 << (number - 1) == 0 or fields[b"State"].split()[0] == b"Z"
    running.wait_until(is_taken)


def insist(process, number):
    """Sends a signal again and again until the program has ended: when one is no echo of the first any more can not be
    seen from outside."""
    end = time.monotonic() + support.PATIENCE
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
        process.send_signal(number)


def pause(process):
    process.send_signal(signal.SIGSTOP)
    running.wait_until(lambda: running.state(process) in "TZ")


def wait_until_taken(number):
    """Waits until everything that was written into a pipe or terminal is gone."""
    running.wait_until(lambda: support.waiting_in(number) == 0)


class Waiting(SignalTest):
    """A program that waits for input is never late to notice a signal. `starts` are ways to make it wait."""

    def setUp(self):
        super().setUp()
        self.write(b"a")
        self.make_fifo()
        keyboard, screen = os.openpty()
        self.addCleanup(os.close, keyboard)
        self.addCleanup(os.close, screen)
        self.device = os.fsencode(os.ttyname(screen))
        kept_open = os.open(self.path(self.make_fifo(b"with writer")), os.O_RDWR)
        self.addCleanup(os.close, kept_open)
        os.write(kept_open, b"some input")
        self.ways = {
            "stdin": ["a", "-"],
            "a FIFO that nobody writes": ["a", "fifo"],
            "a FIFO whose writer is slow": ["a", "with writer"],
            "a device": ["a", self.device],
            "a device that has no end": ["a", "/dev/zero"],
            "stdin among files": ["a", "-", "a", "fifo", "a"],
            "unordered": ["--unordered", "a", "fifo"],
        }

    def test_the_first_signal_ends_the_wait_with_a_status_and_no_line(self):
        for way, arguments in self.ways.items():
            for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
                with self.subTest(way=way, number=number):
                    process = self.start(*arguments, stdin=subprocess.PIPE)
                    process.stdin.write(b"some input")
                    process.stdin.flush()
                    self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
                    process.send_signal(number)
                    lines = process.stdout.read()
                    self.assertIn(lines, [b"", support.line(b"a", b"a"), 2 * support.line(b"a", b"a")])
                    self.assertEqual((process.stderr.read(), process.wait(support.PATIENCE)), (b"", status))

    def test_a_signal_just_before_the_wait_is_not_missed(self):
        for turn in range(40):
            arguments = list(self.ways.values())[turn % len(self.ways)]
            process = self.start(*arguments, stdin=subprocess.PIPE)
            self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
            time.sleep(random.uniform(0, 0.002))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(support.PATIENCE), 143)

    def test_a_file_as_stdin_whose_turn_comes_after_the_signal_is_not_started(self):
        with open(self.path(b"a"), "rb") as file:
            process = self.start("a", "fifo", "-", stdin=file)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        process.send_signal(signal.SIGINT)
        self.assert_outcome(process, 130)

    def test_a_walk_that_meets_no_file_is_ended(self):
        for level in range(31):
            os.makedirs(self.path(b"tree/%d" % level))
            for link in [b"x", b"y", b"z"] if level < 30 else []:
                os.symlink(b"../%d" % (level + 1), self.path(b"tree/%d/%s" % (level, link)))
        for options in [[], ["--unordered"]]:
            with self.subTest(options=options):
                process = self.start("-L", *options, "a", "tree")  # 3 to the power of 30 folders
                self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(support.PATIENCE), 130)

    def test_a_wait_for_names_is_ended(self):
        for arguments in [["--files0-from=-"], ["--files0-from=fifo"], ["--unordered", "--files0-from=-"]]:
            with self.subTest(arguments=arguments):
                process = self.start(*arguments, stdin=subprocess.PIPE)
                if arguments[-1] == "--files0-from=fifo":
                    names = running.open_when_read(self.path(b"fifo"))
                    self.addCleanup(os.close, names)
                else:
                    names = process.stdin.fileno()
                os.write(names, b"a\0a\0unfinish")
                wait_until_taken(names)
                process.send_signal(signal.SIGINT)
                lines = process.stdout.read()
                self.assertIn(lines, [support.line(b"a", b"a") * count for count in range(3)])
                self.assertEqual((process.stderr.read(), process.wait(support.PATIENCE)), (b"", 130))

    def test_a_wait_for_a_list_is_ended(self):
        for arguments in [["-c"], ["-c", "fifo"], ["-c", "-", "fifo"]]:
            with self.subTest(arguments=arguments):
                process = self.start(*arguments, stdin=subprocess.PIPE)
                process.stdin.write(support.line(b"a", b"a"))
                process.stdin.flush()
                if arguments == ["-c"]:
                    process.stdin.write(b"unfinished")
                    process.stdin.flush()
                    wait_until_taken(process.stdin.fileno())
                else:
                    process.stdin.close()
                    process.stdin = None
                    self.addCleanup(os.close, running.open_when_read(self.path(b"fifo")))
                process.send_signal(signal.SIGTERM)
                self.assertIn(process.stdout.read(), [b"", b"a: OK\n"])
                self.assertEqual((process.stderr.read(), process.wait(support.PATIENCE)), (b"", 143))

    def test_lines_do_not_wait_for_the_next_name(self):
        process = self.start("--files0-from=-", stdin=subprocess.PIPE)
        for _ in range(3):
            process.stdin.write(b"a\0")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        process.send_signal(signal.SIGINT)
        self.assert_outcome(process, 130)

    def test_a_signal_outweighs_an_error(self):
        process = self.start("missing", "a", "fifo")
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        process.send_signal(signal.SIGTERM)
        self.assert_outcome(process, 143, messages=b"penstock: missing: No such file or directory\n")

    def test_hangup_and_quit_end_the_program_as_they_end_others(self):
        for number in [signal.SIGHUP, signal.SIGQUIT]:
            with self.subTest(number=number):
                process = self.start("a", "fifo")
                process.stdout.readline()
                process.send_signal(number)
                self.assert_outcome(process, -number)

    def test_a_stop_and_a_continue_do_not_end_a_wait(self):
        process = self.start("a", "-", "fifo", stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        pause(process)
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"some ")
        process.stdin.flush()
        wait_until_taken(process.stdin.fileno())
        pause(process)
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"input")
        process.stdin.close()
        process.stdin = None
        self.assertEqual(process.stdout.readline(), support.line(b"some input", b"-"))
        pause(process)
        process.send_signal(signal.SIGCONT)
        self.fill(b"fifo", b"x")
        self.assert_outcome(process, 0, support.line(b"x", b"fifo"))

    def test_a_signal_that_comes_while_stopped_counts_after_the_stop(self):
        process = self.start("a", "fifo")
        process.stdout.readline()
        pause(process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        self.assert_outcome(process, 130)


class Ignored(SignalTest):
    """A signal that was ignored when the program started stays ignored."""

    def setUp(self):
        super().setUp()
        self.write(b"a")
        self.make_fifo()

    def test_ignored_signals_change_nothing(self):
        ignored = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
        process = self.start("a", "fifo", "a", ignoring=ignored)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        for number in ignored + ignored:
            process.send_signal(number)
        self.fill(b"fifo", b"x")
        self.assert_outcome(process, 0, support.line(b"x", b"fifo") + support.line(b"a", b"a"))

    def test_the_other_signal_still_counts(self):
        for ignored, sent, status in [(signal.SIGINT, signal.SIGTERM, 143), (signal.SIGTERM, signal.SIGINT, 130)]:
            with self.subTest(ignored=ignored):
                process = self.start("a", "fifo", ignoring=[ignored])
                process.stdout.readline()
                process.send_signal(ignored)
                process.send_signal(sent)
                self.assert_outcome(process, status)

    def test_a_job_that_a_script_starts_in_the_background_ignores_the_interrupt_key(self):
        shown = terminal.Terminal(self)
        self.addCleanup(running.release_readers, self.path(b"fifo"))
        script = 'trap "echo interrupted" INT; "$0" digest a fifo & wait "$!"; wait "$!"'
        process = shown.start(["sh", "-c", script, support.BINARY], stdout=subprocess.PIPE, controlling=True)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        shown.type(b"\x03")
        self.assertEqual(process.stdout.readline(), b"interrupted\n")
        self.fill(b"fifo", b"x")
        self.assertEqual(shown.wait_for_end(process), 0)
        self.assertEqual(process.stdout.read(), support.line(b"x", b"fifo"))


class InFlight(SignalTest, faults.FaultTest):
    """Files that are being read when a signal comes: for as long as the test wants."""

    def setUp(self):
        super().setUp()
        self.large = [self.write(b"large1"), self.write(b"large2")]
        self.small = [self.write(b"small%d" % number) for number in range(50)]

    def start_reading(self, names, *arguments):
        return self.start_holding(names, *arguments, preexec_fn=running.use_default_signals)

    def signal_and_release(self, process, number):
        send_and_wait(process, number)
        running.wait_until_asleep(process)  # what took the signal has asked for the stop by then
        self.release()

    def test_what_is_in_flight_is_finished_and_nothing_is_started(self):
        for options in [[], ["--unordered"]]:
            with self.subTest(options=options):
                process = self.start_reading(self.large, "-j2", "--limit=2", *options, *self.large, *self.small)
                self.signal_and_release(process, signal.SIGINT)
                output, messages = process.communicate(timeout=support.PATIENCE)
                self.assertEqual(sorted(output.splitlines(keepends=True)),
                                 sorted(support.line(name, name) for name in self.large))
                self.assertEqual((messages, process.returncode), (b"", 130))

    def test_what_is_in_flight_in_a_check_is_finished_and_nothing_is_started(self):
        self.write(b"list", b"".join(support.line(name, name) for name in self.large + self.small))
        process = self.start_reading(self.large, "-c", "-j2", "--limit=2", "list")
        self.signal_and_release(process, signal.SIGTERM)
        self.assert_outcome(process, 143, b"large1: OK\nlarge2: OK\n")

    def test_a_wait_for_input_that_another_reader_has_taken_away_is_ended(self):
        ours = os.open(self.path(self.make_fifo()), os.O_RDWR)
        self.addCleanup(os.close, ours)
        os.write(ours, b"x")
        process = self.start_holding([b"fifo"], "-", stdin=ours, preexec_fn=running.use_default_signals)
        os.read(ours, 1)
        self.release()
        process.send_signal(signal.SIGINT)
        self.assert_outcome(process, 130)

    def test_no_more_than_the_limit_is_printed_after_the_signal(self):
        process = self.start_reading([b"large1"], "-j1", "--limit=8", "--buffer=0", b"large1", *self.small)
        self.signal_and_release(process, signal.SIGINT)
        output, messages = process.communicate(timeout=support.PATIENCE)
        lines = output.splitlines(keepends=True)
        expected = [support.line(name, name) for name in [b"large1", *self.small[:7]]]
        self.assertEqual(lines, expected[:len(lines)])
        self.assertGreaterEqual(len(lines), 1)
        self.assertEqual((messages, process.returncode), (b"", 130))

    def assert_counts_once(self, send_twice):
        """`send_twice` sends two signals to a program that reads a file; if they come within a moment, it goes on."""
        tries = 0
        for _ in range(5):
            in_a_moment = False
            while not in_a_moment:
                self.assertLess(tries, 500, "two signals never came in a moment")
                tries += 1
                process = self.start_reading([b"large1"], "large1")
                start = time.monotonic()
                send_twice(process)
                in_a_moment = time.monotonic() - start < MOMENT
                if not in_a_moment:
                    self.end(process)
            time.sleep(2 * MOMENT)
            process.send_signal(signal.SIGCONT)  # in case that it was stopped
            running.wait_until_asleep(process)
            self.release()
            self.assert_outcome(process, 143, support.line(b"large1", b"large1"))

    def test_a_signal_that_is_sent_twice_in_a_moment_counts_once(self):
        def send_at_once(process):
            for _ in range(2):  # as timeout(1) does
                process.send_signal(signal.SIGTERM)

        def send_when_the_first_is_taken(process):
            send_and_wait(process, signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
        self.assert_counts_once(send_at_once)
        self.assert_counts_once(send_when_the_first_is_taken)

    def test_a_signal_that_is_sent_twice_in_a_moment_counts_once_though_the_program_sees_the_second_late(self):
        def send_while_stopped(process):
            send_and_wait(process, signal.SIGTERM)
            pause(process)
            process.send_signal(signal.SIGTERM)
        self.assert_counts_once(send_while_stopped)


class Insistence(SignalTest):
    """The second signal, and readers that keep the program from its end."""

    def setUp(self):
        super().setUp()
        self.small = [self.write(b"small%d" % number) for number in range(50)]

    def start_unread(self, *arguments):
        """The program, which waits for somebody to read its lines; and where they can be read."""
        read_end, write_end = support.small_pipe()
        process = self.start(*arguments, stdout=write_end)
        os.close(write_end)
        output = open(read_end, "rb")
        self.addCleanup(output.close)
        running.wait_until(lambda: running.waits_to_write(process))
        return process, output

    def test_the_second_signal_ends_the_program_at_once(self):
        self.make_sparse(b"endless", ENDLESS)
        for first, second in [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM),
                              (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]:
            with self.subTest(first=first, second=second):
                process = self.start("small0", "endless", "small1")
                self.assertEqual(process.stdout.readline(), support.line(b"small0", b"small0"))
                running.wait_until(lambda: running.has_open(process, self.path(b"endless")))
                send_and_wait(process, first)
                insist(process, second)
                self.assert_outcome(process, -second)

    def test_another_signal_is_no_echo_however_soon_it_comes(self):
        self.make_sparse(b"endless", ENDLESS)
        for first, second in [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]:
            with self.subTest(first=first, second=second):
                process = self.start("small0", "endless")
                self.assertEqual(process.stdout.readline(), support.line(b"small0", b"small0"))
                running.wait_until(lambda: running.has_open(process, self.path(b"endless")))
                send_and_wait(process, first)
                process.send_signal(second)
                self.assert_outcome(process, -second)

    def test_the_second_signal_ends_a_program_that_nobody_reads(self):
        process, _ = self.start_unread(*self.small * 10)
        send_and_wait(process, signal.SIGINT)
        insist(process, signal.SIGINT)
        self.assert_outcome(process, -signal.SIGINT, output=None)

    def test_a_slow_reader_gets_whole_lines_after_the_signal(self):
        names = self.small * 10
        process, output = self.start_unread("-j2", "--limit=4", "--buffer=4", *names)
        send_and_wait(process, signal.SIGINT)
        running.wait_until_asleep(process)
        lines = output.read().splitlines(keepends=True)
        self.assertEqual(lines, [support.line(name, name) for name in names[:len(lines)]])
        self.assertLess(len(lines), 4096 // len(lines[0]) + 20)
        self.assert_outcome(process, 130, output=None)


class RandomTimes(SignalTest):
    """Signals at times that nobody chose. Every line printed is whole, right, and in its place."""

    @classmethod
    def setUpClass(cls):
        cls.shared = support.new_folder()
        cls.addClassCleanup(support.remove, cls.shared)
        cls.names = [b"tree/%02d/%02d" % (number // 20, number % 20) for number in range(400)]
        for name in cls.names:
            support.write_file(os.path.join(cls.shared, name), name)

    def setUp(self):
        super().setUp()
        os.symlink(self.shared + b"/tree", self.path(b"tree"))
        lines = [support.line(name, name) for name in self.names]
        self.write(b"names", b"\0".join(self.names))
        self.write(b"list", b"".join(lines))
        self.ways = [
            (["tree"], lines, True),
            (["-j1", "--limit=1", "tree"], lines, True),
            (["--unordered", "tree"], lines, False),
            (["--files0-from=names"], lines, True),
            (["-c", "list"], [name + b": OK\n" for name in self.names], True),
        ]

    def assert_lines_right(self, output, expected, ordered):
        lines = output.splitlines(keepends=True)
        places = {line: place for place, line in enumerate(expected)}
        self.assertEqual([line for line in lines if line not in places], [])
        found = [places[line] for line in lines]
        self.assertEqual(len(set(found)), len(found))
        if ordered:
            self.assertEqual(found, sorted(found))

    def duration(self, arguments):
        start = time.monotonic()
        self.assertEqual(self.digest(*arguments).returncode, 0)
        return time.monotonic() - start

    def test_a_signal_while_files_are_read(self):
        longest = [self.duration(arguments) for arguments, _, _ in self.ways]
        interrupted = 0
        for turn in itertools.count():
            arguments, expected, ordered = self.ways[turn % len(self.ways)]
            number, status = [(signal.SIGINT, 130), (signal.SIGTERM, 143)][turn % 2]
            # Earlier and earlier: what was measured may be longer than anything that comes now.
            delay = random.uniform(0, longest[turn % len(self.ways)]) * 0.5 ** (turn // 50)
            with self.subTest(arguments=arguments, number=number, delay=delay):
                process = self.start(*arguments)
                output = os.read(process.stdout.fileno(), 100)  # its signals are caught when the first line is there
                sender = threading.Timer(delay, process.send_signal, [number])
                sender.start()
                rest, messages = process.communicate(timeout=support.PATIENCE)
                sender.join()
                output += rest
                self.assertIn((messages, process.returncode), [(b"", 0), (b"", status)])
                self.assert_lines_right(output, expected, ordered)
                if process.returncode == 0:
                    self.assertEqual(output.count(b"\n"), len(expected))
                else:
                    interrupted += 1
            if turn >= 49 and interrupted > 0:
                break
            self.assertLess(turn, 500, "no signal came in time")

    def test_a_signal_while_the_program_starts(self):
        for turn in range(30):
            arguments, expected, ordered = self.ways[turn % len(self.ways)]
            delay = random.uniform(0, 0.02)
            with self.subTest(arguments=arguments, delay=delay):
                process = self.start(*arguments)
                sender = threading.Timer(delay, process.send_signal, [signal.SIGINT])
                sender.start()
                output, messages = process.communicate(timeout=support.PATIENCE)
                sender.join()
                self.assertEqual(messages, b"")
                self.assertIn(process.returncode, [0, 130, -signal.SIGINT])  # before it is caught it kills
                self.assert_lines_right(output, expected, ordered)

    def test_two_signals_at_any_time(self):
        for turn in range(20):
            arguments, expected, ordered = self.ways[turn % len(self.ways)]
            with self.subTest(arguments=arguments):
                process = self.start(*arguments)
                output = os.read(process.stdout.fileno(), 100)
                process.send_signal(signal.SIGTERM)
                sender = threading.Timer(random.uniform(0, 0.005), process.send_signal, [signal.SIGTERM])
                sender.start()
                rest, messages = process.communicate(timeout=support.PATIENCE)
                sender.join()
                self.assertEqual(messages, b"")
                self.assertIn(process.returncode, [0, 143, -signal.SIGTERM])
                self.assert_lines_right(output + rest, expected, ordered)


class Keyboard(SignalTest, faults.FaultTest):
    """The keys that send signals from a terminal."""

    def setUp(self):
        super().setUp()
        self.write(b"a")
        self.make_fifo()
        self.shown = terminal.Terminal(self)

    def start_here(self, *arguments, **settings):
        process = self.shown.start_digest(*arguments, stdout=subprocess.PIPE, controlling=True, **settings)
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        return process

    def test_the_interrupt_key_ends_the_program_with_a_status(self):
        process = self.start_here("a", "fifo")
        self.shown.wait_for_states()
        self.shown.type(b"\x03")
        self.assertEqual(self.shown.wait_for_end(process), 130)
        self.assertEqual(process.stdout.read(), b"")

    def test_the_interrupt_key_ends_a_wait_for_what_is_typed(self):
        process = self.start_here("a", "-", stdin=None)
        self.shown.type(b"some input\n")
        self.shown.type(b"\x03")
        self.assertEqual(self.shown.wait_for_end(process), 130)
        self.assertEqual(process.stdout.read(), b"")

    def test_the_interrupt_key_ends_a_wait_for_input_that_it_has_taken_away(self):
        hold = self.path(b".hold")
        log = self.path(b".struck")
        for arguments in [["-"], ["-c"], ["--files0-from=-"]]:
            with self.subTest(arguments=arguments):
                shown = terminal.Terminal(self)
                name = os.ttyname(shown.slave)
                ours = os.open(name, os.O_RDONLY | os.O_NOCTTY)
                self.write(b".hold")
                self.write(b".struck", b"")
                rules = [faults.rule("read", "hold", name=os.path.basename(name))]
                variables = {**faults.preloading(os.path.dirname(name), log, rules), "FAULTS_HOLD": hold}
                process = shown.start_digest(*arguments, stdin=None, stdout=subprocess.PIPE, controlling=True, **variables)
                shown.type(b"some input\n")
                running.wait_until(lambda: os.path.getsize(log) > 0)  # it is about to read what it has found there
                self.assertGreater(support.waiting_in(ours), 0)
                shown.type(b"\x03")
                wait_until_taken(ours)
                os.close(ours)
                os.remove(hold)
                self.assertEqual(shown.wait_for_end(process), 130)
                self.assertEqual(process.stdout.read(), b"")

    def test_the_interrupt_key_pressed_again_ends_it_at_once(self):
        self.make_sparse(b"endless", ENDLESS)
        process = self.start_here("a", "endless")
        running.wait_until(lambda: running.has_open(process, self.path(b"endless")))
        end = time.monotonic() + support.PATIENCE
        while process.poll() is None and time.monotonic() < end:  # when a key has become a signal can not be seen
            self.shown.type(b"\x03")
            self.shown.receive(0.05)
        self.assertEqual(process.returncode, -signal.SIGINT)

    def test_the_quit_key_ends_it_at_once(self):
        process = self.start_here("a", "fifo")
        self.shown.type(b"\x1c")
        self.assertEqual(self.shown.wait_for_end(process), -signal.SIGQUIT)

    def test_a_terminal_that_is_closed_ends_it(self):
        process = self.start_here("a", "fifo", "--no-progress")
        self.shown.hang_up()
        self.assertEqual(process.wait(support.PATIENCE), -signal.SIGHUP)


class ClosedPipe(SignalTest):
    """The reader of stdout goes away, as `head -1` does."""

    def setUp(self):
        super().setUp()
        self.write(b"a")
        self.make_fifo()

    def closed_pipe(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        self.addCleanup(os.close, write_end)
        return write_end

    def test_the_program_ends_as_soon_as_nobody_reads_whatever_it_does(self):
        self.make_sparse(b"endless", ENDLESS)
        self.write(b"list", support.line(b"a", b"a") + support.line(b"", b"endless"))
        for arguments in [["a", "endless"], ["-j1", "a", "endless"], ["--unordered", "a", "endless"], ["-c", "list"],
                          ["a", "fifo"], ["a", "-"], ["--files0-from=-"], ["-c"], ["--tag", "-z", "a", "endless"]]:
            with self.subTest(arguments=arguments):
                process = self.start(*arguments, stdin=subprocess.PIPE)
                process.stdin.write({"--files0-from=-": b"a\0", "-c": support.line(b"a", b"a")}.get(arguments[-1], b""))
                process.stdin.flush()
                os.read(process.stdout.fileno(), 1)
                process.stdout.close()
                process.stdout = None
                self.assertEqual(process.wait(support.PATIENCE), -signal.SIGPIPE)
                self.assertEqual(process.stderr.read(), b"")

    def test_a_reader_that_is_gone_from_the_start_is_noticed_with_the_first_line(self):
        self.assert_outcome(self.start("a", stdout=self.closed_pipe()), -signal.SIGPIPE, output=None)
        self.assert_outcome(self.start("missing", "a", stdout=self.closed_pipe()), -signal.SIGPIPE, output=None,
                            messages=b"penstock: missing: No such file or directory\n")

    def test_a_program_that_has_nothing_to_write_needs_no_reader(self):
        os.mkdir(self.path(b"empty"))
        self.write(b"list", support.line(b"a", b"a"))
        self.write(b"wrong", support.line(b"b", b"a"))
        for arguments, status in [(["empty"], 0), (["-c", "--status", "list"], 0), (["-c", "--quiet", "list"], 0),
                                  (["--files0-from=/dev/null"], 0), (["-c", "--status", "wrong"], 1)]:
            with self.subTest(arguments=arguments):
                self.assert_outcome(self.start(*arguments, stdout=self.closed_pipe()), status, output=None)

    def test_a_program_that_has_written_nothing_yet_goes_on(self):
        self.write(b"list", support.line(b"x", b"fifo"))
        process = self.start("-c", "--status", "list", stdout=self.closed_pipe())
        self.fill(b"fifo", b"x")
        self.assert_outcome(process, 0, output=None)

    def test_if_the_signal_is_ignored_the_next_line_is_the_error(self):
        process = self.start("a", "fifo", "a", ignoring=[signal.SIGPIPE])
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        self.fill(b"fifo", b"x")
        self.assert_outcome(process, 1, output=None, messages=b"penstock: write error: Broken pipe\n")

    def test_if_the_signal_is_ignored_and_nothing_more_is_to_be_written_all_is_well(self):
        os.mkdir(self.path(b"empty"))
        read_end, write_end = os.pipe()
        process = self.start("--files0-from=fifo", ignoring=[signal.SIGPIPE], stdout=write_end)
        os.close(write_end)
        names = running.open_when_read(self.path(b"fifo"))
        os.write(names, b"a\0")
        self.assertEqual(os.read(read_end, 1000), support.line(b"a", b"a"))
        os.close(read_end)
        os.write(names, b"empty\0")
        os.close(names)
        self.assert_outcome(process, 0, output=None)

    def test_a_socket_whose_reader_only_sends_no_more_gets_every_line(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        process = self.start("a", "fifo", "a", stdout=theirs)
        theirs.close()
        ours.shutdown(socket.SHUT_WR)
        self.fill(b"fifo", b"x")
        received = b""
        while more := ours.recv(65536):
            received += more
        self.assertEqual(received, support.line(b"a", b"a") + support.line(b"x", b"fifo") + support.line(b"a", b"a"))
        self.assertEqual(process.wait(support.PATIENCE), 0)
