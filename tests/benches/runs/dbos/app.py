"""Workflows of the bench `runs` in DBOS, and their clients, in one process: nothing lies between them but DBOS.

Argument: the URL of the database. On standard input a line for each thing to do, on standard output its answer, JSON both.
What many clients begin at once is synchronous, with a thread for each, which DBOS does more of in a second; what goes in
parallel, or waits for long, is asynchronous.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig, SetWorkflowID

SIDES = 10
HOUR = 3600
# Begun at once; and asked about at once.
PLACES = 64
THREADS = 512


@DBOS.step()
def echo(value):
    return value


@DBOS.step()
async def echo_async(value):
    return value


@DBOS.step()
def slow_step(seconds):
    time.sleep(seconds)


@DBOS.workflow()
def chain(value):
    return echo(echo(echo(value)))


@DBOS.workflow()
async def fan(value):
    first = await echo_async(value)
    sides = await asyncio.gather(*[echo_async(first) for _ in range(SIDES)])
    return await echo_async(sides[0])


@DBOS.workflow()
def slow(seconds):
    for _ in range(3):
        slow_step(seconds)


@DBOS.workflow()
async def hour(value):
    await echo_async(value)
    await DBOS.sleep_async(HOUR)


async def times(request):
    """Seconds of each, one after the other."""

    def chains():
        return [timed_chain({"item": number}) for number in range(request["count"])]

    if request["flow"] == "chain":
        return await asyncio.to_thread(chains)
    return [await timed_fan({"item": number}) for number in range(request["count"])]


def timed_chain(value):
    begun = time.perf_counter()
    assert chain(value) == value
    return time.perf_counter() - begun


async def timed_fan(value):
    begun = time.perf_counter()
    assert await fan(value) == value
    return time.perf_counter() - begun


async def count(request):
    """Runs that ended in the measured seconds, of clients that begin their next one once the last has ended."""
    measured_from = time.perf_counter() + request["warmUp"]
    measured_to = measured_from + request["measured"]

    def client(_):
        ended = 0
        while time.perf_counter() < measured_to:
            chain({"item": ended})
            ended += measured_from <= time.perf_counter() < measured_to
        return ended

    def clients():
        with ThreadPoolExecutor(request["clients"]) as pool:
            return sum(pool.map(client, range(request["clients"])))

    return await asyncio.to_thread(clients)


async def open_hours(request):
    """Returns once all have begun: whether the last have done their step is not asked."""
    places = asyncio.Semaphore(PLACES)

    async def one():
        async with places:
            await DBOS.start_workflow_async(hour, {"item": 1})

    await asyncio.gather(*[one() for _ in range(request["count"])])


async def begin_slow(request):
    """Returns once all are written down."""

    def one(number):
        with SetWorkflowID(f"slow-{number}"):
            DBOS.start_workflow(slow, request["seconds"])

    def all_of_them():
        with ThreadPoolExecutor(PLACES) as pool:
            list(pool.map(one, range(request["count"])))

    await asyncio.to_thread(all_of_them)


async def ends_of_slow(request):
    """The time of the clock on the wall at which each of them had ended."""

    def one(number):
        DBOS.retrieve_workflow(f"slow-{number}").get_result(polling_interval_sec=0.05)
        return time.time()

    def all_of_them():
        with ThreadPoolExecutor(PLACES) as pool:
            return list(pool.map(one, range(request["count"])))

    return await asyncio.to_thread(all_of_them)


TO_DO = {one.__name__: one for one in (times, count, open_hours, begin_slow, ends_of_slow)}


async def main():
    DBOS.launch()
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    lines = ThreadPoolExecutor(1)
    while line := await loop.run_in_executor(lines, sys.stdin.readline):
        request = json.loads(line)
        answer = await TO_DO[request["do"]](request)
        print(json.dumps(answer), flush=True)


config: DBOSConfig = {
    "name": "runs",
    "system_database_url": sys.argv[1],
    "application_version": "1",
    "executor_id": "one",
    "log_level": "ERROR",
    "max_executor_threads": THREADS,
}
DBOS(config=config)
asyncio.run(main())
