"""What Programmable Wireless decides by: its resources and their life cycles."""
