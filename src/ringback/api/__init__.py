"""The HTTP APIs: parse requests, call the operations, and serialize their results.

May import `engine` and what is below it.
Start with `app`; `supersim/sims` shows what the endpoints of a resource look like.
"""
