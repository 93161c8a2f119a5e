# SPDX-License-Identifier: MIT
"""Where bytes come from other than files, and where lines go."""
import fcntl
import os
import signal
import subprocess
import threading
import time

import running
import support


class Input(support.ToolTest):
    def test_without_paths_stdin_is_digested(self):
        self.assert_success(self.digest(input=b"some input"), support.line(b"some input", b"-"))

    def test_a_dash_is_stdin_among_files(self):
        self.write(b"a")
        self.assert_success(self.digest("a", "-", "a", input=b"x" * 1_000_000),
                            support.line(b"a", b"a") + support.line(b"x" * 1_000_000, b"-") + support.line(b"a", b"a"))

    def test_a_second_dash_finds_stdin_at_its_end(self):
        for _ in range(20):
            result = self.digest("-", "-", "-", input=b"x" * 300_000)
            self.assert_success(result, support.line(b"x" * 300_000, b"-") + 2 * support.line(b"", b"-"))

    def test_a_file_as_stdin_is_digested_from_where_it_stands(self):
        self.write(b"file", b"0123456789")
        with open(self.path(b"file"), "rb", buffering=0) as file:
            file.read(4)
            self.assert_success(self.digest(stdin=file), support.line(b"456789", b"-"))

    def test_a_pipe_that_gives_little_by_little_is_read_to_its_end(self):
        process = self.start_digest(stdin=subprocess.PIPE)
        for _ in range(10):
            process.stdin.write(b"drop")
            process.stdin.flush()
            time.sleep(0.01)
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (support.line(b"drop" * 10, b"-"), b""))

    def test_a_pipe_that_the_user_may_not_open_is_read_if_it_is_stdin(self):
        self.assert_success(self.digest(input=b"some input", cwd="/", **support.as_ordinary_user()),
                            support.line(b"some input", b"-"))

    def test_the_flags_of_a_pipe_that_others_share_stay_as_they_are(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        before = fcntl.fcntl(read_end, fcntl.F_GETFL)
        process = self.start_digest(stdin=read_end)
        os.write(write_end, b"x")
        running.wait_until(lambda: support.waiting_in(read_end) == 0)
        self.assertEqual(fcntl.fcntl(read_end, fcntl.F_GETFL), before)
        os.close(write_end)
        self.assertEqual(process.communicate(timeout=support.PATIENCE), (support.line(b"x", b"-"), b""))

    def test_a_closed_stdin_is_an_error_and_no_other_file_takes_its_place(self):
        self.write(b"a")
        for arguments in ["a - a", "- -", "-", "", "missing -", "a"]:
            with self.subTest(arguments=arguments):
                expected = self.run_program(["sh", "-c", f"exec sha256sum {arguments} <&-"])
                result = self.run_program(["sh", "-c", f'exec "$0" digest {arguments} <&-', support.BINARY])
                self.assertEqual(result.stderr, support.in_our_name(expected.stderr))
                self.assertEqual((result.stdout, result.returncode), (expected.stdout, expected.returncode))

    def test_no_name_of_a_closed_stdin_is_read_as_an_empty_file(self):
        for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]:
            with self.subTest(name=name):
                result = self.run_program(["sh", "-c", 'exec "$0" digest "$1" <&-', support.BINARY, name])
                self.assertEqual((result.stdout, result.returncode), (b"", 1))
                self.assertRegex(result.stderr, b"^penstock: " + name.encode() + b": .+\n$")

    def test_a_folder_as_stdin_is_an_error(self):
        folder = os.open(self.folder, os.O_RDONLY)
        result = self.digest(stdin=folder)
        os.close(folder)
        self.assertEqual((result.stdout, result.stderr), (b"", b"penstock: -: Is a directory\n"))
        self.assertEqual(result.returncode, 1)

    def test_a_file_called_dash_is_named_with_its_folder(self):
        self.write(b"-")
        self.assert_success(self.digest("./-"), support.line(b"-", b"./-"))

    def test_a_device_as_argument_is_read(self):
        self.assert_same_as_sha256sum(b"/dev/null", b"/dev/null")

    def test_dev_stdin_is_read_once_however_often_it_is_named(self):
        result = self.digest("/dev/stdin", "/dev/stdin", "-", input=b"x" * 300_000)
        self.assert_success(result, support.line(b"x" * 300_000, b"/dev/stdin") + support.line(b"", b"/dev/stdin")
                            + support.line(b"", b"-"))

    def test_a_fifo_as_argument_is_waited_for_while_lines_before_it_are_out(self):
        self.write(b"a")
        self.write(b"tree/b")
        os.mkfifo(self.path(b"fifo"))
        process = self.start_digest("a", "tree", "fifo", "a")
        self.assertEqual(process.stdout.readline(), support.line(b"a", b"a"))
        self.assertEqual(process.stdout.readline(), support.line(b"tree/b", b"tree/b"))
        self.assertIsNone(process.poll())
        with open(self.path(b"fifo"), "wb") as fifo:
            fifo.write(b"through the fifo")
        self.assertEqual(process.stdout.read(), support.line(b"through the fifo", b"fifo") + support.line(b"a", b"a"))
        self.assertEqual(process.wait(support.PATIENCE), 0)

    def test_fifos_more_than_workers_do_not_block_each_other(self):
        names = [b"fifo%d" % number for number in range(12)]
        for name in names:
            os.mkfifo(self.path(name))
        process = self.start_digest("-j", "2", *names)

        def fill(name):
            with open(self.path(name), "wb") as fifo:
                fifo.write(name)
        writers = [threading.Thread(target=fill, args=[name]) for name in reversed(names)]
        for writer in writers:
            writer.start()
        self.assertEqual(process.communicate(timeout=support.PATIENCE)[0], b"".join(support.line(n, n) for n in names))
        for writer in writers:
            writer.join()


class Output(support.ToolTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = support.new_folder()
        cls.addClassCleanup(support.remove, cls.shared)
        for number in range(2000):
            support.write_file(cls.shared + b"/tree/%04d" % number, b"tree/%04d" % number)

    def setUp(self):
        super().setUp()
        os.symlink(self.shared + b"/tree", self.path(b"tree"))

    def test_a_full_disk_is_reported_and_ends_the_work(self):
        with open("/dev/full", "wb") as full:
            result = self.digest("tree", stdout=full)
        self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: No space left on device\n", 1))

    def test_a_full_disk_ends_the_work_also_while_a_large_file_is_read(self):
        os.remove(self.path(b"tree"))
        self.write(b"tree/a")
        self.write(b"tree/z")
        os.truncate(self.path(b"tree/z"), 1 << 40)  # hours, if it were read to its end
        with open("/dev/full", "wb") as full:
            result = self.digest("-j2", "tree", stdout=full)
        self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: No space left on device\n", 1))

    def test_help_and_version_notice_a_full_disk(self):
        for option in ["--help", "--version"]:
            with self.subTest(option=option), open("/dev/full", "wb") as full:
                result = self.penstock(option, stdout=full)
                self.assertEqual(result.stderr, b"penstock: write error: No space left on device\n")
                self.assertEqual(result.returncode, 1)

    def test_a_closed_stdout_is_reported(self):
        result = self.run_program(["sh", "-c", 'exec "$0" digest tree >&-', support.BINARY])
        self.assertEqual((result.stderr, result.returncode), (b"penstock: write error: Bad file descriptor\n", 1))

    def test_a_closed_pipe_ends_the_program_as_it_ends_others(self):
        process = self.start_digest("tree")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(support.PATIENCE), -signal.SIGPIPE)
        process.stdout = None

    def test_a_closed_pipe_is_reported_if_its_signal_is_ignored(self):
        process = self.start_digest("tree", restore_signals=False)  # Python itself ignores SIGPIPE
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        self.assertEqual(process.stderr.read(), b"penstock: write error: Broken pipe\n")
        self.assertEqual(process.wait(support.PATIENCE), 1)

    def test_a_slow_reader_gets_every_line_though_the_pipe_does_not_block(self):
        read_end, write_end = support.small_pipe()
        os.set_blocking(write_end, False)
        process = self.start_digest("tree", stdout=write_end)
        os.close(write_end)
        support.wait_until_stalled(read_end)
        with open(read_end, "rb") as output:
            lines = output.read()
        _, messages = process.communicate(timeout=support.PATIENCE)
        names = support.files_below(self.folder, b"tree")
        self.assertEqual(lines, b"".join(support.line(name, name) for name in names))
        self.assertEqual((messages, process.returncode), (b"", 0))

    def test_the_same_bytes_go_to_a_file(self):
        with open(self.path(b"output"), "wb") as output:
            self.digest("tree", stdout=output)
        with open(self.path(b"output"), "rb") as output:
            self.assertEqual(output.read(), self.digest("tree").stdout)

    def test_a_stop_and_a_continue_lose_nothing(self):
        process = self.start_digest("tree")
        lines = process.stdout.readline()
        for _ in range(5):
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            process.send_signal(signal.SIGCONT)
        lines += process.stdout.read()
        self.assertEqual(lines.count(b"\n"), 2000)
        self.assertEqual(process.wait(support.PATIENCE), 0)
