"""The HTTP APIs: they parse requests, call the operations, and serialize the results.

May import `engine` and what is below it.
Start with `app`; `supersim/sims` shows what the endpoints of a resource look like.
"""
