# SPDX-License-Identifier: MIT
"""A pseudo-terminal for the program to run on, and a screen that shows what it wrote there."""
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import threading
import time

import running
import support

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
STATE = re.compile(rb"[0-9][0-9,]* files?[^\r\n\x1b]*(?=[^\r\n]*[\r\n])")  # all of it has come when its line has ended


class Screen:
    """What a terminal shows. Knows no more than a progress line may use; anything else is an error.

    A line that reaches the last column goes on in the next row. No row is ever lost at the top.
    """
    TOKEN = re.compile(rb"[ -~]|\r|\n|\0|\x1b\[K|\x1b\[([0-9;]*)m")

    def __init__(self, columns):
        self.columns = columns
        self.rows = [[]]  # of (byte, colour)
        self.joined = set()  # rows that go on in the next one
        self.column = 0  # `columns` when the last one was just written
        self.colour = b""

    def feed(self, received):
        place = 0
        while place < len(received):
            token = self.TOKEN.match(received, place)
            if token is None:
                raise ValueError(f"not for a terminal: {received[place:place + 20]!r}")
            place = token.end()
            self.take(token)
        return self

    def take(self, token):
        if token[0] == b"\r":
            self.column = 0
        elif token[0] == b"\n":
            self.rows.append([(b" ", b"")] * self.column)
        elif token[0] == b"\x1b[K":
            del self.rows[-1][min(self.column, self.columns - 1):]
        elif token[1] is not None:
            self.colour = b"" if token[1] in (b"", b"0") else token[1]
        elif token[0] != b"\0":
            self.put(token[0])

    def put(self, byte):
        if self.column == self.columns:
            self.joined.add(len(self.rows) - 1)
            self.rows.append([])
            self.column = 0
        self.rows[-1][self.column:self.column + 1] = [(byte, self.colour)]
        self.column += 1

    def text(self):
        """The rows, each ended by a newline unless it goes on in the next."""
        shown = b""
        for number, row in enumerate(self.rows):
            shown += b"".join(byte for byte, _ in row) + (b"" if number in self.joined else b"\n")
        return shown[:-1]

    def coloured(self):
        """The parts that are not in the ordinary colour: (colour, text)."""
        parts = []
        for row in self.rows:
            for byte, colour in row:
                if colour and parts and parts[-1][0] == colour:
                    parts[-1] = (colour, parts[-1][1] + byte)
                elif colour:
                    parts.append((colour, byte))
        return parts


class Terminal:
    """A terminal with a program on it. What the program writes is taken from it by the functions that wait."""

    def __init__(self, test, columns=80):
        self.columns = columns
        self.master, self.slave = os.openpty()
        test.addCleanup(self.hang_up)
        test.addCleanup(self.leave)
        self.resize(columns)
        settings = termios.tcgetattr(self.slave)
        settings[3] &= ~termios.ECHO  # what the test types is not to be told from what the program writes
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        self.test = test
        self.received = b""
        self.ended = False

    def leave(self):
        """From now on the terminal is at its end when no program has it open any more."""
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None

    def hang_up(self):
        if self.master is not None:
            os.close(self.master)
            self.master = None

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def stop_writers_in_background(self):
        settings = termios.tcgetattr(self.slave)
        settings[3] |= termios.TOSTOP
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)

    def start(self, command, stdin=subprocess.DEVNULL, stdout=None, stderr=None, controlling=False, **variables):
        """Runs a program. Its streams are the terminal if nothing else is given, but for stdin.

        The program has a session of its own. With `controlling` the terminal is that session's, the program is in the
        foreground, and the last that it writes may be lost: the terminal is hung up when the program ends. A variable
        of the environment that is None is not set.
        """
        changed = {"TERM": "xterm", "NO_COLOR": None, **variables}
        environment = {name: value for name, value in {**support.environment(), **changed}.items() if value is not None}
        slave = self.slave

        def take_terminal():
            running.use_default_signals()
            if controlling:
                fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        process = subprocess.Popen(command, cwd=self.test.folder, env=environment, stdin=self.given(stdin),
                                   stdout=self.given(stdout), stderr=self.given(stderr), start_new_session=True,
                                   preexec_fn=take_terminal)
        self.test.addCleanup(self.test.end, process)
        watchdog = threading.Timer(support.PATIENCE, process.kill)  # so that no test reads its output in vain for ever
        watchdog.start()
        self.test.addCleanup(watchdog.cancel)
        self.leave()
        return process

    def given(self, stream):
        return self.slave if stream is None else stream

    def start_digest(self, *arguments, **settings):
        return self.start([support.BINARY, "digest", *arguments], **settings)

    def type(self, keys):
        os.write(self.master, keys)

    def receive(self, patience):
        """Takes what comes within some seconds."""
        if not select.select([self.master], [], [], patience)[0]:
            return
        try:
            self.received += os.read(self.master, 65536)
        except OSError:  # EIO: no program has it open
            self.ended = True

    def wait_until(self, condition):
        """Takes what comes until the condition holds."""
        end = time.monotonic() + support.PATIENCE
        while not condition():
            if self.ended or time.monotonic() > end:
                raise TimeoutError(f"the terminal received {self.received[-1000:]!r}")
            self.receive(0.05)

    def wait_for_states(self, count=1):
        """Waits until a progress has shown this many more states."""
        wanted = len(self.states()) + count
        self.wait_until(lambda: len(self.states()) >= wanted)

    def states(self):
        """The states that a progress has shown, without their colours."""
        return STATE.findall(COLOUR.sub(b"", self.received))

    def wait_for_end(self, process):
        """Takes everything until the program ends. Returns its status."""
        self.wait_until(lambda: self.ended)
        return process.wait(support.PATIENCE)

    def screen(self):
        return Screen(self.columns).feed(self.received)

    def last_drawn(self):
        """The screen before the line in which the cursor stands was begun anew."""
        return Screen(self.columns).feed(self.received[:self.received.rindex(b"\r")])
