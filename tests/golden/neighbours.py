#!/usr/bin/env python3
"""Writes nearest neighbours and the distributions made of them, by scikit-learn in float64.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/neighbours.py

Writes neighbours.safetensors: keys (f16) and queries (f32) in a few clusters, values, and for 1 and 4
heads the k nearest keys by brute force, their squared distances, and the distribution over values at
a temperature: a softmax over -heads * distance / temperature in each head, then the mean over heads.
Made with scikit-learn 1.7.2 and numpy 2.4.6.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.neighbors import NearestNeighbors

ENTRIES, WIDTH, QUERIES, VALUES, K, TEMPERATURE = 700, 48, 24, 60, 32, 9.0


def main():
    draw = np.random.default_rng(7)
    centres = draw.normal(size=(12, WIDTH)) * 1.5
    keys = (centres[draw.integers(12, size=ENTRIES)] + draw.normal(size=(ENTRIES, WIDTH))).astype(np.float16)
    # Exact copies, so that ties and repeated values are met.
    keys[600:640] = keys[0:40]
    queries = (centres[draw.integers(12, size=QUERIES)] + draw.normal(size=(QUERIES, WIDTH))).astype(np.float32)
    queries[0] = keys[100].astype(np.float32)
    values = draw.integers(VALUES, size=ENTRIES).astype(np.uint32)
    out = {"keys": keys, "queries": queries, "values": values, "temperature": np.array([TEMPERATURE])}
    wide_keys, wide_queries = keys.astype(np.float64), queries.astype(np.float64)
    for heads in (1, 4):
        width = WIDTH // heads
        found = np.zeros((QUERIES, heads, K), dtype=np.uint32)
        distances = np.zeros((QUERIES, heads, K))
        said = np.zeros((QUERIES, VALUES))
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            index = NearestNeighbors(n_neighbors=K, algorithm="brute", metric="sqeuclidean")
            index.fit(wide_keys[:, columns])
            near, places = index.kneighbors(wide_queries[:, columns])
            for query in range(QUERIES):
                key = wide_keys[places[query]][:, columns]
                # By definition, not by the expansion that the library uses inside.
                exact = ((wide_queries[query, columns] - key) ** 2).sum(axis=1)
                order = np.lexsort((places[query], exact))
                found[query, head], distances[query, head] = places[query][order], exact[order]
                weights = np.exp(-heads * (exact[order] - exact.min()) / TEMPERATURE)
                np.add.at(said[query], values[places[query][order]], weights / weights.sum() / heads)
        out |= {f"found.{heads}": found, f"distances.{heads}": distances, f"said.{heads}": said}
    save_file({name: np.ascontiguousarray(array) for name, array in out.items()},
              Path(__file__).parent / "neighbours.safetensors")


if __name__ == "__main__":
    main()
