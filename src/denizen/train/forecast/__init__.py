"""What a run will cost before it is started: time, memory, disk, energy, money; scored afterwards.

Contract: `probe` takes real steps of the very recipe, `local` extrapolates them over the run's own
batches, `rent` estimates the same run on rented GPUs, `score` holds a forecast against what
happened.  A measured figure and an assumed one are never shown alike.
"""
