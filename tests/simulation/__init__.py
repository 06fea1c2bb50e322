"""The whole engine in a simulated world: virtual time, a seed, and faults of every kind.

scheduler, loop      the order of events; an asyncio event loop on top of it, a clock that can
                     be set, and a gate that can stop a process
database, store      a real database with planned delays, failures and losses; the real
                     committer on it
history              a database with a million rows, made once and copied
network, receivers   connections, and the receivers at the other end
names                lookups, and the name server
customers            customers who create, replay and discard callbacks
process              one life of the engine, from its start to its stop or its death
plan                 the description of a world: sizes, places, customers, faults
seeds                the world for each seed
shortage             shortages of the machine: files, ports, disk, time
isolation            worlds in which one account makes trouble, and how long others wait; large
                     worlds
watch, invariants    what must hold, and the checks for it
world, runner        one run, and many
cluster              several processes over one store
mutants              engines that are broken on purpose, which the simulation must detect
"""
