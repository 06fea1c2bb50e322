"""The HTTP APIs: what the outside asks, in its own words."""
