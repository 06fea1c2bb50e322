"""Is a receiver ready? Acts as both sources towards it, and says what it got wrong."""
