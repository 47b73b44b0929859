# control: stdin_sum
# category: benign
# kind: stdio
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
print(int(input()) * 2 + 1)
