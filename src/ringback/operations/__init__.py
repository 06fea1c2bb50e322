"""What a customer can ask for: each operation is one function and one transaction."""
