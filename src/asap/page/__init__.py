"""What the pages of ASAP share: one file with its style, script and data, and a policy that admits nothing else."""
