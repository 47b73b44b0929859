"""One test on rows that nothing was chosen by; README.md is the plan."""
