"""The plain loop of commit 7042b8b, to which all ratios compare: a copy that stays as it is.

It is a copy on purpose. If the loop used the product's own client and rendering, every gain in them
would make the reference faster too, and the same ratio would be harder to reach. So change nothing
here for speed, and nothing to follow the product, except if the callbacks themselves change: a test
compares the requests of both.

The copy imports nothing of Ringback: only the standard library, httptools, and the uvloop that runs
it. It consists of the code that the loop executes, in `callbacks` (records, rendering, signing) and
`client` (connections, answers, limits). What this loop never needs was left out: TLS, proxies, host
names, GET requests, other sources, reading and writing of records. Branches that its checks decide
against are kept, because the checks are part of its cost.
"""

from benchmarks.frozen_plain_loop.callbacks import callbacks_to, stamped
from benchmarks.frozen_plain_loop.client import a_sender, send

__all__ = ["a_sender", "callbacks_to", "send", "stamped"]
