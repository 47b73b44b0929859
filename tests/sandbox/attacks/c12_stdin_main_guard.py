# control: stdin_main_guard
# category: benign
# kind: stdio
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
import sys


def main():
    print(int(sys.stdin.read()) * 2 + 1)


if __name__ == "__main__":
    main()
