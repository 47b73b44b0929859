"""The instrument: short Python programs with traces whose necessary steps are known (README.md)."""
