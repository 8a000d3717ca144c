"""What holds for all tests: a busy machine is no failure, time is for the benches."""

from hypothesis import settings

settings.register_profile("patient", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1_000)
settings.load_profile("patient")
