"""What Super SIM decides by: its resources and their life cycles."""
