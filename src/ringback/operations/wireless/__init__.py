"""What a customer can ask of Programmable Wireless, and what becomes of it."""
