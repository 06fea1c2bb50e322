"""The console: web pages on which people look at callbacks, and move their receivers.

May import `api` and what is below it.
Start with `console_app`; `pages/callbacks` shows what a page looks like.
"""
