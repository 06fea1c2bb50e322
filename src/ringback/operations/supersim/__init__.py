"""What a customer can ask of Super SIM, and what becomes of it."""
