"""The HTTP APIs: requests become values, and values become answers.

May import `engine` and what is below it.
Start with `app`; `supersim/sims` shows what the endpoints of a resource look like.
"""
