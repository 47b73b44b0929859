"""A second test on other rows: does what the first one found hold, and do answers become right? README.md is the plan."""
