"""Databases: each answers `ports.Store`, and passes the same conformance suite."""
