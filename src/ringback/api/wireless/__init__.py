"""The Programmable Wireless API, version 1."""
