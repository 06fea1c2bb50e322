"""The command line: talks to people, and does nothing itself."""
