"""Wait until a process rests. Imports nothing, because memory is measured where it is used."""

from __future__ import annotations

from time import perf_counter, process_time, sleep


def settle() -> None:
    """Wait until this process is at rest, a quarter of a second at most.

    Thread pools spin for a while after their work, in the hope of more: those of one engine
    would take the processor from the next one that is asked.
    """
    give_up = perf_counter() + 0.25
    at_rest = False
    while not at_rest and perf_counter() < give_up:
        cpu_start, start = process_time(), perf_counter()
        sleep(0.01)
        at_rest = process_time() - cpu_start < 0.2 * (perf_counter() - start)
