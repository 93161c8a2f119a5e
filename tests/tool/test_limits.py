# SPDX-License-Identifier: MIT
"""Few descriptors, deep trees, many files, large files, links in circles: nothing runs out, nothing grows."""
import hashlib
import itertools
import os
import re
import resource
import subprocess
import unittest

import faults
import running
import support

FEWEST = 10  # descriptors that the program needs, by its manual
ZEROS = 2**30
DIGEST_OF_ZEROS = b"49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"


def descriptors(most):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Descriptors(support.ToolTest):
    LEVELS = 200

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = support.new_folder()
        cls.addClassCleanup(support.remove, cls.shared)
        names = []
        for level in range(0, cls.LEVELS, 5):
            folder = b"tree" + b"/d" * level
            names += [folder + b"/%c" % name for name in b"az"] + [folder + b"/sub%d/file" % each for each in range(3)]
        for name in names:
            support.write_file(os.path.join(cls.shared, name), name)
        os.symlink(b"..", cls.shared + b"/tree/d/up")
        os.symlink(b"d/d/d/d/d/sub1", cls.shared + b"/tree/link")

    def setUp(self):
        super().setUp()
        os.symlink(self.shared + b"/tree", self.path(b"tree"))

    def lines(self, *options):
        result = self.digest(*options, b"tree")
        self.assertEqual((result.stderr, result.returncode), (b"", 0))
        return result.stdout.splitlines()

    def assert_same_with_few(self, user):
        expected = {way: sorted(self.lines(*way)) for way in [(), ("--unordered",), ("--follow",)]}
        self.assertEqual(len(expected[()]), self.LEVELS)
        self.assertEqual(len(expected[("--follow",)]), self.LEVELS + 1)
        ordered = {(): self.lines(), ("--follow",): self.lines("--follow")}
        for most, workers, way in itertools.product([FEWEST, 12, 16, 32], ["1", "2", "8", "64"], expected):
            with self.subTest(most=most, workers=workers, way=way):
                result = self.digest("-j", workers, *way, b"tree", preexec_fn=descriptors(most), **user)
                self.assertEqual((result.stderr, result.returncode), (b"", 0))
                lines = result.stdout.splitlines()
                self.assertEqual(lines if way in ordered else sorted(lines), ordered.get(way, expected[way]))

    def test_few_descriptors_make_no_difference(self):
        self.assert_same_with_few({})

    @unittest.skipUnless(os.geteuid() == 0, "is an ordinary user already")
    def test_few_descriptors_make_no_difference_to_an_ordinary_user(self):
        self.assert_same_with_few(support.as_ordinary_user())

    def test_descriptors_that_are_open_already_are_reckoned_with(self):
        expected = self.lines()
        # The numbers that are passed on stay below the limit, whatever the test runner itself has open.
        passed = [os.dup2(0, number) for number in range(200, 216)]

        def confine():
            for number in passed:
                os.dup2(number, number - 180)
            resource.setrlimit(resource.RLIMIT_NOFILE, (36, 36))
        for way in [[], ["-j64"], ["-j8", "--unordered"]]:
            result = self.digest(*way, b"tree", preexec_fn=confine, close_fds=False)
            self.assertEqual((result.stderr, result.returncode), (b"", 0))
            self.assertEqual(sorted(result.stdout.splitlines()), sorted(expected))
        for number in passed:
            os.close(number)

    def test_lists_and_their_files_need_few_descriptors(self):
        names = [self.write(b"file%03d" % number) for number in range(300)]
        lines = b"".join(support.line(name, name) for name in names)
        self.write(b"names", b"\0".join(names))
        self.write(b"list", lines)
        for most, workers in itertools.product([FEWEST, 12, 16, 32], ["-j1", "-j8", "-j64"]):
            with self.subTest(most=most, workers=workers):
                settings = {"preexec_fn": descriptors(most)}
                self.assert_success(self.digest(workers, *names, **settings), lines)
                self.assert_success(self.digest(workers, "--files0-from=names", **settings), lines)
                self.assert_success(self.digest(workers, "--check", "--quiet", "list", "list", **settings), b"")

    def test_fifos_and_folders_by_turns_need_few_descriptors(self):
        fifos = [b"fifo%d" % number for number in range(3)]
        for fifo in fifos:
            os.mkfifo(self.path(fifo))
        self.write(b"names", b"fifo0\0tree\0fifo1\0tree/a\0fifo2")
        expected = self.lines() + [support.line(b"tree/a", b"tree/a")[:-1]]
        expected += [support.line(b"drop", fifo)[:-1] for fifo in fifos]
        for way in [[], ["--unordered", "-j8"]]:
            process = self.start_digest("--files0-from=names", *way, preexec_fn=descriptors(FEWEST))
            for fifo in fifos:
                with open(running.open_when_read(self.path(fifo)), "wb") as pipe:
                    pipe.write(b"drop")
            stdout, stderr = process.communicate(timeout=support.PATIENCE)
            self.assertEqual((stderr, process.returncode), (b"", 0))
            self.assertEqual(sorted(stdout.splitlines()), sorted(expected))


class WithoutOpenat2(faults.FaultTest):
    """As on old kernels, and in container sandboxes that refuse it: names are opened step by step."""

    def test_few_descriptors_make_no_difference(self):
        names = [self.write(name) for name in (b"tree/d/d/d/%02d" % number for number in range(60))]
        lines = sorted(support.line(name, name) for name in names)
        refused = ["-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS"]
        for most, way in itertools.product([FEWEST, 20, 80], [[], ["-j64"], ["-j64", "--unordered"]]):
            with self.subTest(most=most, way=way):
                confined = ["prlimit", f"--nofile={most}", support.BINARY, "digest", *way, b"tree"]
                result, _ = self.traced(refused, [], confined)
                self.assertEqual((result.stderr, result.returncode), (b"", 0))
                self.assertEqual(sorted(result.stdout.splitlines(keepends=True)), lines)


class FewBelowAHighLimit(faults.FaultTest):
    MOST = 5000

    def test_descriptors_that_are_open_already_are_reckoned_with_where_the_limit_is_high(self):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < self.MOST:
            self.skipTest("needs the right to so many descriptors")
        names = [self.write(b"file%03d" % number) for number in range(200)]

        def leave_few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.MOST, self.MOST))
            for number in range(30, self.MOST):
                os.dup2(0, number)
        result, _ = self.digest_under([faults.always("read", "delay", 20)], "-j256", *names, preexec_fn=leave_few,
                                      close_fds=False)
        self.assert_success(result, b"".join(support.line(name, name) for name in names))


def files_followed(folder, start, above=()):
    """What a walk that follows links comes to, in its order; a second statement of that order, recursive and plain."""
    status = os.stat(os.path.join(folder, start))
    if (status.st_dev, status.st_ino) in above:
        return []
    found = []
    for name in sorted(os.listdir(os.path.join(folder, start))):
        path = start + b"/" + name
        if os.path.isdir(os.path.join(folder, path)):
            found += files_followed(folder, path, (*above, (status.st_dev, status.st_ino)))
        else:
            found.append(path)
    return found


class Circles(support.ToolTest):
    def test_links_in_circles_end_and_what_they_lead_to_is_found_once_on_each_way(self):
        for name in [b"tree/a/file", b"tree/b/file", b"tree/c/d/e/file"]:
            self.write(name)
        for name, goal in [(b"a/to-b", b"../b"), (b"b/to-a", b"../a"), (b"c/d/e/top", b"../../.."), (b"here", b"."),
                           (b"up", b".."), (b"twice", b"c/d"), (b"c/d/self", b"../d")]:
            os.symlink(goal, self.path(b"tree/" + name))
        found = files_followed(self.folder, b"tree")
        self.assertEqual(len(found), 6)
        self.assert_success(self.digest("--follow", b"tree"), self.sha256sum(*found).stdout)
        result = self.digest("--follow", "--unordered", "-j4", b"tree")
        self.assertEqual(sorted(result.stdout.splitlines()), sorted(self.sha256sum(*found).stdout.splitlines()))
        self.assertEqual((result.stderr, result.returncode), (b"", 0))

    def test_links_that_lead_nowhere_are_messages_among_the_lines(self):
        self.write(b"tree/file")
        self.write(b"tree/z")
        for name, goal in [(b"a", b"nowhere"), (b"self", b"self"), (b"ping", b"pong"), (b"pong", b"ping"),
                           (b"through", b"file/x")]:
            os.symlink(goal, self.path(b"tree/" + name))
        result = self.digest("--follow", b"tree", stderr=subprocess.STDOUT)
        self.assertEqual(result.stdout.splitlines(), [
            b"penstock: tree/a: No such file or directory",
            support.line(b"tree/file", b"tree/file")[:-1],
            b"penstock: tree/ping: Too many levels of symbolic links",
            b"penstock: tree/pong: Too many levels of symbolic links",
            b"penstock: tree/self: Too many levels of symbolic links",
            b"penstock: tree/through: Not a directory",
            support.line(b"tree/z", b"tree/z")[:-1]])
        self.assertEqual(result.returncode, 1)


class ManyFiles(support.ToolTest):
    FOLDERS = 500
    SMALL = 20  # folders in the smaller part of the tree
    PER_FOLDER = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = support.new_folder()
        cls.addClassCleanup(support.remove, cls.shared)
        cls.names = []
        cls.lines = []
        for folder in range(cls.FOLDERS):
            start = b"tree/%s/%03d-%s" % (b"few" if folder < cls.SMALL else b"more", folder, b"x" * 60)
            os.makedirs(os.path.join(cls.shared, start))
            content = b"%d" % folder
            digest = hashlib.sha256(content).hexdigest().encode()
            names = [start + b"/%02d" % file + b"-" * 80 for file in range(cls.PER_FOLDER)]
            support.write_file(os.path.join(cls.shared, names[0]), content)
            for name in names[1:]:
                os.link(os.path.join(cls.shared, names[0]), os.path.join(cls.shared, name))
            cls.names += names
            cls.lines += [digest + b"  " + name for name in names]

    def setUp(self):
        super().setUp()
        os.symlink(self.shared + b"/tree", self.path(b"tree"))

    def test_every_file_of_a_large_tree_has_its_line_however_many_are_in_flight(self):
        for options in [["-j64", "--limit=1000"], ["--buffer=0"]]:
            result = self.digest(*options, b"tree")
            self.assertEqual((result.stderr, result.returncode), (b"", 0))
            self.assertEqual(result.stdout.splitlines(), self.lines)
        result = self.digest("--unordered", "-j64", b"tree")
        self.assertEqual((result.stderr, result.returncode), (b"", 0))
        self.assertEqual(sorted(result.stdout.splitlines()), sorted(self.lines))

    def test_what_is_named_twice_is_digested_twice_in_its_place(self):
        few = self.lines[:self.SMALL * self.PER_FOLDER]
        result = self.digest(b"tree/few", self.names[7], b"tree/few", b"tree/few/../few", self.names[7])
        self.assertEqual((result.stderr, result.returncode), (b"", 0))
        again = [line.replace(b"tree/few", b"tree/few/../few") for line in few]
        self.assertEqual(result.stdout.splitlines(), few + [self.lines[7]] + few + again + [self.lines[7]])

    def peak_memory(self, lines, *arguments):
        """In bytes, of a run that has printed this many lines and then waits for the end of its stdin."""
        process = self.start_digest("-j4", "--limit=64", *arguments, stdin=subprocess.PIPE)
        for _ in range(lines):
            self.assertNotEqual(process.stdout.readline(), b"")
        with open(f"/proc/{process.pid}/status", "rb") as status:
            most = int(re.search(rb"VmHWM:\s*(\d+) kB", status.read())[1]) * 1024
        _, messages = process.communicate(timeout=support.PATIENCE)
        self.assertEqual((messages, process.returncode), (b"", 0))
        return most

    def assert_memory_stays(self, few, many):
        if faults.sanitized():
            self.skipTest("a sanitizer's own memory grows")
        # All the names alone are more than 7,000,000 bytes.
        self.assertLess(self.peak_memory(*many), self.peak_memory(*few) + 2_500_000)

    def test_memory_does_not_grow_with_the_number_of_files_in_a_tree(self):
        few, many = self.SMALL * self.PER_FOLDER, self.FOLDERS * self.PER_FOLDER
        for options in [[], ["--unordered"], ["--follow"]]:
            with self.subTest(options=options):
                self.assert_memory_stays([few, *options, b"tree/few", "-"], [many, *options, b"tree", "-"])

    def test_memory_does_not_grow_with_the_length_of_a_list_of_names(self):
        few, many = self.SMALL * self.PER_FOLDER, self.FOLDERS * self.PER_FOLDER
        for name, end in [(b"few", few), (b"many", many)]:
            self.write(name, b"\0".join(self.names[:end] + [b"-"]))
        self.assert_memory_stays([few, "--files0-from=few"], [many, "--files0-from=many"])

    def test_memory_does_not_grow_with_the_length_of_a_checksum_list(self):
        few, many = self.SMALL * self.PER_FOLDER, self.FOLDERS * self.PER_FOLDER
        of_nothing = hashlib.sha256().hexdigest().encode() + b"  -"
        for name, end in [(b"few", few), (b"many", many)]:
            self.write(name, b"\n".join(self.lines[:end] + [of_nothing]))
        self.assert_memory_stays([few, "--check", "few"], [many, "--check", "many"])

    def test_memory_does_not_grow_with_the_size_of_a_file(self):
        self.write(b"small")
        with open(self.path(b"large"), "wb") as file:
            file.truncate(ZEROS)
        self.assert_memory_stays([1, "small", "-"], [1, "large", "-"])

    def test_a_file_of_more_bits_than_32_binary_digits_count_has_the_right_digest(self):
        with open(self.path(b"large"), "wb") as file:
            file.truncate(ZEROS)
        self.assert_success(self.digest("large"), DIGEST_OF_ZEROS + b"  large\n")
