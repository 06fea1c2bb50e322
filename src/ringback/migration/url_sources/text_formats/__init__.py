"""Finds callback URLs in texts: one module for each family of notations.

May import `url_matches` and `url_escaping` of this package's parent, and the core.
Start with `find_urls`, which chooses the family by the name of a file.
"""
