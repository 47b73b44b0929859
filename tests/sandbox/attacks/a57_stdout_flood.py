# attack: stdout_flood
# category: resource
# kind: stdio
# expected verdict: output,timeout,fail   (never pass)
# invariant: host memory bounded, reader never blocks
while True:
    print("x" * 65536)
