# SPDX-License-Identifier: MIT
"""What a test needs that watches the program while it runs."""
import contextlib
import errno
import os
import resource
import signal
import time

import support

FATAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


def use_default_signals(but_ignored=()):
    """For a new process: a test runner in the background passes on that it ignores some. No core is left behind."""
    for number in FATAL:
        signal.signal(number, signal.SIG_IGN if number in but_ignored else signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def wait_until(condition, interval=0.002):
    end = time.monotonic() + support.PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what the test waits for does not happen")
        time.sleep(interval)


def open_when_read(fifo):
    """The write end of a FIFO, as soon as somebody has the other one. Does not wait for ever, as open() does."""
    end = time.monotonic() + support.PATIENCE
    while True:
        try:
            number = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(number, True)
            return number
        except OSError as failure:
            if failure.errno != errno.ENXIO or time.monotonic() > end:
                raise
        time.sleep(0.002)


def release_readers(fifo):
    """Ends the wait of programs that still read a FIFO when a test has failed."""
    with contextlib.suppress(OSError):  # ENXIO: there are none
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def has_open(process, path):
    """Whether a program has a file open at the moment."""
    folder = b"/proc/%d/fd" % process.pid
    with contextlib.suppress(FileNotFoundError, PermissionError):  # it has ended; one that has is root's
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                if os.readlink(os.path.join(folder, number)) == path:
                    return True
    return False


def state(process, thread=None):
    """How the kernel calls the state that a program, or one of its threads, is in: R, S, T, Z and so on. Z also for one
    that has been waited for."""
    try:
        with open(f"/proc/{process.pid}/task/{thread or process.pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def wait_until_asleep(process):
    """Waits until each thread of a program has been asleep once: what had to be done by now is done. Not for a program
    in which a thread computes."""
    with contextlib.suppress(FileNotFoundError):  # it has ended
        for thread in os.listdir(f"/proc/{process.pid}/task"):
            wait_until(lambda thread=thread: state(process, thread) in "SZ")


def waits_to_write(process):
    """Whether the main thread sleeps in a call on descriptor 1; on a pipe that nobody reads it does so for ever."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{process.pid}/syscall", "rb") as file:
            fields = file.read().split()  # "running", or the call's number and arguments
        return len(fields) > 1 and fields[1] == b"0x1"
    return False
