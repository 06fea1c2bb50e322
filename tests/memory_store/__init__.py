"""The reference model of a store.

It says in the fewest words what every other store has to do; they are compared with it.
"""

from tests.memory_store.store import MemoryStore, MemoryTransaction

__all__ = ["MemoryStore", "MemoryTransaction"]
