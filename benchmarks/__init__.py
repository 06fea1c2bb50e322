"""Speed, as figures and as ratios to a plain loop measured in the same run: `make bench`.

Each family of figures is one module: `harness` (T0), `backlog` (T1), `end_to_end` (T2, T3),
`latency` (T4, T5, T13), `peers` (T6), `footprint` (T7), `receiver_checks` (T8), `postgres` (T9),
`isolation` (T10), `many_sims` (T11), `https` (T12), `restarts` (T14), `command_line` (T15),
`years` (T16), `protected` (T17), `console` (T18), `streams` (T19).

They start these modules in processes of their own:

    receiver     answers every callback, counts it, and notes when it arrived
    plain_loop   the reference: it renders and sends, with the code of `frozen_plain_loop`
    filling      puts waiting callbacks into a data file or database
    drain        an engine that delivers the callbacks in a data file
    worker       the same, beside others on a database; it is told when to begin and when to end
    claims       claims and settles callbacks in a data file or database, without sending them
    looking_up   lists and fetches SIMs, in a data file with few SIMs and in one with many
    checking     verifies requests as a receiver does, with our code and with other libraries
    server       `ringback serve`, as a customer runs it; `hanging_names` adds names that hang

`against` measures this commit and another one alternately, and reports if this one is slower.
`history` makes years of callbacks of a few. `browsing` looks at the console as people do.
`engine` is the only module that builds parts of Ringback by hand. `database` runs PostgreSQL.
"""
