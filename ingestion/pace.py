"""A steady number of lines a second."""

import time
from collections.abc import Iterable, Iterator

SLICES_A_SECOND = 10
SLOWEST, FASTEST = 0.1, 1e9
"""Lines a second that a person may ask for."""


def paced(blocks: Iterable[list[bytes]], rate: float | None) -> Iterator[list[bytes]]:
    """Yield the lines of `blocks` at `rate` lines a second, a tenth of a second's worth at a time.

    Args:
        blocks: lines in pieces of any size.
        rate: lines a second; None lets the blocks through as fast as they come.
    """
    if rate is None:
        yield from blocks
        return
    size = max(1, int(rate / SLICES_A_SECOND))
    begin, sent = time.monotonic(), 0
    for block in blocks:
        for start in range(0, len(block), size):
            lines = block[start : start + size]
            # the schedule counts from the beginning, so that a slow moment is made up for
            time.sleep(max(0.0, begin + sent / rate - time.monotonic()))
            yield lines
            sent += len(lines)
