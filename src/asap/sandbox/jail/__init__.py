"""What runs inside the sandbox. Bound into it read-only; imports nothing but the standard library."""
