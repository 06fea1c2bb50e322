"""Our own API: what became of callbacks."""
