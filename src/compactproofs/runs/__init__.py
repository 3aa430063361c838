"""Long runs: whole files or none, interrupts, resuming, and many processes."""
