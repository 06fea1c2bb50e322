"""Several processes over one store: workers that share the shards, and processes that only accept.

plan       the description of such a world, by seed
database   the store that they share: locked rows, slow commits, partitions, outages; announcements
watch      what must hold, and the checks for it
world      one run; many are run by `tests.simulation.runner`
mutants    broken engines and stores, which the simulation must detect

The store is the model in memory (`tests.memory_store`): what holds here follows from the rules of
leases, takeovers and results, which each store for several processes has to implement.
"""
