"""The reference model of a store.

It implements what every store has to do in the fewest lines; tests compare other stores with it.
"""

from tests.memory_store.store import MemoryStore, MemoryTransaction

__all__ = ["MemoryStore", "MemoryTransaction"]
