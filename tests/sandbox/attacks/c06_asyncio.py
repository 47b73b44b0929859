# control: asyncio
# category: benign
# kind: call
# expected verdict: pass
# invariant: honest programs must not be broken by the sandbox
import asyncio


async def h(x):
    await asyncio.sleep(0)
    return 2 * x + 1


def f(x):
    return asyncio.run(h(x))
