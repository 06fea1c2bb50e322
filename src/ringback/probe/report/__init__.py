"""The probe's report as text, HTML, JSON and JUnit XML.

May import `probe.probe_report` and the modules that it needs.
Start with `text`.
"""
