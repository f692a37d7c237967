"""A cure for Python 3.11: its `asyncio.wait_for` forgets a cancellation that comes together with what it waited for.

pymodbus and redis-py wait that way. A task that is never to end by itself would go on for ever when it is told to end.
"""

import asyncio


def heed_cancellation() -> None:
    """After a call into such a library: raise CancelledError if this task was told to end meanwhile."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
