"""Parts that both SIM products share: messages, data, mobile networks, simulated failures.

May import the standard library and the rest of `core`, but not `supersim` or `wireless`.
Start with `scenario`.
"""
