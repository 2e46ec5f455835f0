"""Training: data, schedule, the loop as a generator of steps, and the recorder that writes the run folder."""
