"""What holds for all tests: a busy machine is no failure, time is for the benches."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
