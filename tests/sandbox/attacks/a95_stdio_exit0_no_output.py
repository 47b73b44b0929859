# attack: stdio_exit0_no_output
# category: cheat
# kind: stdio
# expected verdict: fail   (never pass)
# invariant: worker survives; next benign run passes
import sys

sys.exit(0)
