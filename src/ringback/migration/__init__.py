"""Moving callback URLs from one source to another: inventory, plan, apply, revert."""
