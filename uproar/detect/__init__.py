"""The statistics of a closed minute: what is usual, what is too much, what a wave must pass."""
