"""The whole engine in a world of its own: virtual time, a seed, and everything going wrong.

scheduler, loop      what happens next; asyncio on top of it, and a clock that can be set
store                the real committer on a real database, which fails and forgets as planned
network, receivers   connections, look-ups, and whoever is at their other end
customers            those who ask for callbacks, replay and discard them
process              one life of the engine, from its start to its stop or its death
plan                 what a seed stands for: sizes, places, people, faults
watch, invariants    what has to hold, and who sees whether it does
world, runner        one run, and many
mutants              engines that are broken on purpose, which have to be found out
"""
