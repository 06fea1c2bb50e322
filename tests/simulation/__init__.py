"""The whole engine in a world of its own: virtual time, a seed, and everything going wrong.

scheduler, loop      what happens next; asyncio on top of it, a clock that can be set, and a gate by
                     which a process can be stopped
database, store      a real database that is as slow as its work, fails and forgets as planned; the
                     real committer on it
history              a database with a million rows, made once and copied
network, receivers   connections, and whoever is at their other end
names                look-ups, and the name server
customers            those who ask for callbacks, replay and discard them
process              one life of the engine, from its start to its stop or its death
plan                 what a world is: sizes, places, people, faults
seeds                which world a seed stands for
shortage             what a machine runs short of: files, ports, disk, time
isolation            worlds in which somebody makes trouble, and how long others wait; large ones
watch, invariants    what has to hold, and who sees whether it does
world, runner        one run, and many
mutants              engines that are broken on purpose, which have to be found out
"""
