"""How hypothesis runs here: without a time limit for each example, since machines differ."""

from hypothesis import settings

settings.register_profile("ringback", deadline=None)
settings.load_profile("ringback")
