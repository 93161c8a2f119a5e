# SPDX-License-Identifier: MIT
"""The walk: which files, in which order, under which names, and what it takes no notice of."""
import hashlib
import os
import resource
import socket

import support


class Walk(support.ToolTest):
    def assert_walked(self, *arguments, **settings):
        """The files that a plain recursive walk finds, digested as arguments, give the same output."""
        names = [name for argument in arguments for name in support.files_below(self.folder, argument)]
        self.assertNotEqual(names, [])
        self.assert_success(self.digest(*arguments, **settings), self.sha256sum(*names).stdout)

    def test_files_come_by_name_and_a_folder_when_its_name_has_its_turn(self):
        for name in [b"b", b"a/z", b"a/b/c", b"a/b-", b"a-b", b"a.b", b"B", b"\xff", b"\x01", b"c/1", b"c/10", b"c/2"]:
            self.write(b"tree/" + name)
        self.assert_walked(b"tree")
        names = [line[66:] for line in self.digest(b"tree").stdout.splitlines()]
        self.assertEqual(names, [b"tree/" + name for name in [
            b"\x01", b"B", b"a/b/c", b"a/b-", b"a/z", b"a-b", b"a.b", b"b", b"c/1", b"c/10", b"c/2", b"\xff"]])

    def test_a_folder_is_named_in_every_line_as_find_names_it(self):
        self.write(b"tree/sub/file")
        os.symlink(b"tree", self.path(b"link"))
        absolute = self.path(b"tree")
        for argument in [b"tree", b"tree/", b"tree//", b"./tree", b".", b"./", b"tree/..", b"tree/sub/..", absolute,
                         absolute + b"/", b"link/", b"tree/./sub"]:
            with self.subTest(argument=argument):
                found = self.run_program(["find", argument, "-type", "f", "-print0"]).stdout.split(b"\0")[:-1]
                self.assert_success(self.digest(argument), self.sha256sum(*found).stdout)

    def test_the_root_folder_is_not_given_a_second_slash(self):
        running = self.start_digest(b"/")
        first = running.stdout.readline()
        self.assertRegex(first, rb"^\\?[0-9a-f]{64}  /[^/]")

    def test_a_link_to_a_folder_is_followed_if_it_is_an_argument(self):
        self.write(b"tree/a")
        self.write(b"tree/b/c")
        os.symlink(b"tree", self.path(b"link"))
        self.assert_walked(b"link")

    def test_a_link_to_a_file_is_followed_if_it_is_an_argument(self):
        self.write(b"file")
        os.symlink(b"file", self.path(b"link"))
        self.assert_same_as_sha256sum(b"link", b"file")

    def test_links_in_a_folder_are_passed_over(self):
        self.write(b"outside/secret")
        self.write(b"tree/file")
        for name, goal in [(b"dangling", b"nowhere"), (b"loop", b"loop"), (b"up", b".."), (b"here", b"."),
                           (b"to-file", b"file"), (b"to-folder", b"../outside")]:
            os.symlink(goal, self.path(b"tree/" + name))
        self.assert_success(self.digest(b"tree"), self.sha256sum(b"tree/file").stdout)

    def test_fifos_and_sockets_in_a_folder_are_passed_over_and_do_not_block(self):
        self.write(b"tree/file")
        os.mkfifo(self.path(b"tree/fifo"))
        with socket.socket(socket.AF_UNIX) as listening:
            os.chdir(self.path(b"tree"))  # a socket's path is limited to 108 bytes
            listening.bind(b"socket")
            os.chdir(b"/")
            self.assert_success(self.digest(b"tree"), self.sha256sum(b"tree/file").stdout)

    def test_devices_in_a_folder_are_passed_over(self):
        result = self.digest(b"/dev/pts", b"/dev/fd/../../../dev/pts")
        self.assert_success(result, b"")

    def test_the_file_that_the_lines_go_to_is_reported_and_has_no_line(self):
        self.write(b"tree/a")
        self.write(b"tree/z")
        with open(self.path(b"tree/sums"), "wb") as output:
            result = self.digest(b"tree", stdout=output)
        with open(self.path(b"tree/sums"), "rb") as output:
            self.assertEqual(output.read(), self.sha256sum(b"tree/a", b"tree/z").stdout)
        self.assertEqual(result.stderr, b"penstock: tree/sums: input file is the output file\n")
        self.assertEqual(result.returncode, 1)

    def test_an_empty_folder_gives_no_line(self):
        os.makedirs(self.path(b"tree/empty/emptier"))
        self.assert_success(self.digest(b"tree"), b"")

    def test_files_and_folders_can_be_mixed(self):
        for name in [b"z", b"tree/a", b"tree/b", b"y", b"other/c"]:
            self.write(name)
        self.assert_success(self.digest(b"z", b"tree", b"y", b"other", b"tree/a"),
                            self.sha256sum(b"z", b"tree/a", b"tree/b", b"y", b"other/c", b"tree/a").stdout)

    def test_the_order_does_not_depend_on_workers_or_limit(self):
        for number in range(300):
            self.write(b"tree/%d/%d" % (number % 7, number), b"x" * (number * 977 % 100_000))
        expected = self.digest(b"tree").stdout
        self.assertEqual(expected.count(b"\n"), 300)
        for options in [["-j1", "--limit=1"], ["-j", "1", "--limit", "100"], ["--workers=8", "--limit=3"],
                        ["--workers", "3"], ["--limit", "1000000000"]]:
            with self.subTest(options=options):
                self.assert_success(self.digest(*options, b"tree"), expected)

    def make_deep(self, levels, name, files):
        """tree/NAME/NAME/… with a file in each of the levels in `files`; returns the lines to be expected."""
        expected = b""
        os.mkdir(self.path(b"tree"))
        current = os.open(self.path(b"tree"), os.O_RDONLY)
        for level in range(levels):
            if level in files:
                # Sorts behind the folder, so lines come from the bottom up.
                with open(os.open(b"~file", os.O_WRONLY | os.O_CREAT, dir_fd=current), "wb") as file:
                    file.write(b"%d" % level)
                path = b"tree" + (b"/" + name) * level + b"/~file"
                expected = hashlib.sha256(b"%d" % level).hexdigest().encode() + b"  " + path + b"\n" + expected
            os.mkdir(name, dir_fd=current)
            below = os.open(name, os.O_RDONLY, dir_fd=current)
            os.close(current)
            current = below
        os.close(current)
        return expected

    def test_300_levels_of_long_names_are_walked_though_no_system_call_takes_such_a_path(self):
        expected = self.make_deep(300, b"d" * 255, range(0, 300, 23))
        self.assert_success(self.digest(b"tree"), expected)

    def test_1200_levels_need_neither_stack_nor_descriptors(self):
        expected = self.make_deep(1200, b"d", [0, 1, 600, 1199])

        def confine():
            resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, 512 * 1024))
            resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        self.assert_success(self.digest(b"tree", preexec_fn=confine), expected)

    def test_many_folders_in_flight_do_not_need_a_descriptor_each(self):
        for number in range(1500):
            self.write(b"tree/%04d/file" % number)

        def confine():
            resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
        self.assert_walked(b"tree", preexec_fn=confine)
        result = self.digest(b"--limit=1000", b"tree", preexec_fn=confine)
        self.assertEqual((result.stdout.count(b"\n"), result.stderr, result.returncode), (1500, b"", 0))

    def test_20000_small_files_get_the_lines_of_sha256sum(self):
        for number in range(20_000):
            self.write(b"tree/%02d/%05d" % (number % 100, number), b"%d" % number)
        names = support.files_below(self.folder, b"tree")
        expected = self.run_program(["xargs", "-0", "sha256sum", "--"], input=b"\0".join(names)).stdout
        self.assert_success(self.digest(b"tree"), expected)
