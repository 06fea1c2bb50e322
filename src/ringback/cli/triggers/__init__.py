"""What `ringback trigger` does: a table of triggers, each a few steps on one stage."""
