"""Settings of hypothesis: no time limit for an example, since machines differ in speed."""

from hypothesis import settings

settings.register_profile("ringback", deadline=None)
settings.load_profile("ringback")
