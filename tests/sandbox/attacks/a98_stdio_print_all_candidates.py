# attack: stdio_print_all_candidates
# category: cheat
# kind: stdio
# expected verdict: fail   (never pass)
# invariant: extra lines are a wrong answer
for i in range(200):
    print(i)
