# SPDX-License-Identifier: MIT
"""The lines: byte for byte those of sha256sum."""
import os
import resource

import support

ODD_NAMES = [
    b"plain", b"two words", b" leading space", b"trailing space ", b"-leading-dash", b"--help", b"--", b"++",
    b"back\\slash", b"new\nline", b"carriage\rreturn", b"all\\of\nthem\r", b"\\", b"\n", b"\\n", b"tab\there",
    b"escape\x1b[31m", b"\x01\x02\x7f", b"invalid \xff\xfe utf-8", "\u00e9\u4e2d\U0001f600".encode(), b"quote's", b'"',
    b"[a,b]", b"[id]", b"[]", b"{}", b"{", b"%s%%", b"a:b", b"*", b"?", b"#x", b"~", b"digest", b"x=y", b"...",
    b".hidden", b"n" * 255, "\u00e9".encode() * 127,
]


class Lines(support.ToolTest):
    def test_every_odd_name_gets_the_line_of_sha256sum(self):
        self.assert_same_as_sha256sum(*[self.write(name) for name in ODD_NAMES])

    def test_every_odd_name_alone_gets_the_line_of_sha256sum(self):
        for name in ODD_NAMES:
            with self.subTest(name=name):
                self.assert_same_as_sha256sum(self.write(name))

    def test_every_odd_name_in_a_folder_gets_the_line_of_sha256sum(self):
        for name in ODD_NAMES:
            self.write(b"tree/" + name)
            self.write(b"tree/sub\\\n\r " + name[:200] + b"/" + name)
        names = support.files_below(self.folder, b"tree")
        self.assertEqual(len(names), 2 * len(ODD_NAMES))
        self.assert_success(self.digest(b"tree"), self.sha256sum(*names).stdout)

    def test_sha256sum_accepts_the_lines(self):
        for name in ODD_NAMES:
            self.write(b"tree/" + name)
        lines = self.digest(b"tree").stdout
        checked = self.run_program(["sha256sum", "--check", "--strict", "--quiet"], input=lines)
        self.assertEqual((checked.stdout, checked.stderr, checked.returncode), (b"", b"", 0))

    def test_contents_of_every_size_around_a_block_are_digested_like_sha256sum(self):
        sizes = [0, 1, 55, 56, 63, 64, 65, 4095, 4096, 131071, 131072, 131073, 262144, 1_000_000]
        self.assert_same_as_sha256sum(*[self.write(b"size %d" % size, os.urandom(size)) for size in sizes])

    def test_a_file_named_twice_is_digested_twice(self):
        self.write(b"a")
        self.assert_same_as_sha256sum(b"a", b"a", b"./a", b"a")

    def test_a_large_sparse_file_is_digested_like_sha256sum_in_little_memory(self):
        with open(self.path(b"large"), "wb") as file:
            file.truncate(300_000_000)
            file.seek(299_999_000)
            file.write(b"end")
        self.write(b"small")
        self.assert_same_as_sha256sum(b"large", b"small")
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of any program run so far
        self.assertLess(most, 250_000_000)

    def test_files_of_proc_that_claim_to_be_empty_are_read_to_their_end(self):
        names = [b"/proc/version", b"/proc/filesystems", b"/proc/sys/kernel/ostype", b"/proc/devices"]
        self.assert_same_as_sha256sum(*[name for name in names if os.path.exists(name)])

    def test_files_of_proc_met_in_a_walk_are_read_to_their_end(self):
        folder = b"/proc/sys/fs/inotify"
        if not os.path.isdir(folder):
            self.skipTest("the kernel has no inotify")
        names = support.files_below(b"/", folder)
        self.assertNotEqual(names, [])
        self.assert_success(self.digest(folder), self.sha256sum(*names).stdout)
