"""Small receivers after patterns of real applications, each with the faults that it has.

The patterns are facts from public code; the programs are ours. Start with `serving`.
"""
