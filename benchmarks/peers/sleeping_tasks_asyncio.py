# SPDX-License-Identifier: MIT
"""usage: sleeping_tasks_asyncio.py TASKS LIMIT

As many workers as tasks may be in flight take inputs from one iterator, and leave results for one consumer. This is the
fastest bounded as_completed that asyncio has: a wait() for the first of 100,000 costs as many steps each time, and a task of
its own, or a turn of a semaphore, for every input costs more than going round a loop.
"""
import asyncio
import collections
import sys
import time


async def doubled(x):
    await asyncio.sleep(1)
    return 2 * x


async def as_completed(function, inputs, limit):
    inputs = iter(inputs)
    results = collections.deque()
    filled = asyncio.Event()

    async def work():
        for x in inputs:
            results.append(await function(x))
            filled.set()

    workers = [asyncio.create_task(work()) for _ in range(limit)]
    everything = asyncio.gather(*workers)
    everything.add_done_callback(lambda _: filled.set())
    while not everything.done() or results:
        while results:
            yield results.popleft()
        if not everything.done():
            filled.clear()
            await filled.wait()


async def main(tasks, limit):
    start = time.perf_counter()
    total = 0
    async for result in as_completed(doubled, range(tasks), limit):
        total += result
    print(f"{time.perf_counter() - start:.4f} {total}")


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
