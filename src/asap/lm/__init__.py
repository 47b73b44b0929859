"""Everything that talks to a model: scorers read a text, generators write one."""
