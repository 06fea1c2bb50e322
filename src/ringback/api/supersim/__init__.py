"""The Super SIM API, version 1."""
