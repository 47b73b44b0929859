"""The code that runs inside the sandbox. It is bound in read-only and imports only the standard library."""
