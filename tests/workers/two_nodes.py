"""A Ray cluster of two nodes on this machine, for a test: prints its address, and for each line that it reads takes a node away,
puts another in its place and says so. It ends with its input.
"""

import os
import sys

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 200 * 1024**2}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    node = cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(node, allow_graceful=False)
        node = cluster.add_node(**NODE)
        print("replaced", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
