"""The pages: each asks the APIs in this process, and passes their answers to a template.

May import `console`'s other modules, and what is below them.
Start with `callbacks`; its HTML is in `console/templates/callbacks.html`.
"""
