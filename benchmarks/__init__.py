"""Speed, as figures and as ratios to a plain loop measured in the same run: `make bench`.

Each family of figures is one module: `harness` (T0), `backlog` (T1), `end_to_end` (T2, T3),
`latency` (T4, T5), `peers` (T6), `footprint` (T7), `receiver_checks` (T8), `isolation` (T10),
`many_sims` (T11).
They start processes of their own:

    receiver     answers every callback, counts it, and notes when it came
    plain_loop   the reference: our rendering and sender, and nothing else
    filling      puts waiting callbacks into a data file
    drain        an engine that delivers what is in a data file
    looking_up   lists and fetches SIMs in a data file of few, and in one of many
    checking     checks requests as a receiver does, and has other libraries do it
    server       `ringback serve`, as a customer has it; `hanging_names` where some names hang

`against` has two commits take turns, and says whether this one is slower.

`engine` is the one module that builds parts of Ringback by hand.
"""
