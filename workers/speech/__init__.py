"""Speech: turns the released text of a turn into sound."""

import os

# Before numpy is imported: for matrices as small as ours its threads cost four times what they share out.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
