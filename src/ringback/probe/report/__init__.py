"""A report of the probe, in the forms that people and programs read.

May import `probe.probe_report` and what that needs.
Start with `text`.
"""
