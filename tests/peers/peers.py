"""Learns item-to-item neighbours with implicit or gensim from the files that `peers prepare` wrote.

python peers.py METHOD FOLDER: writes the neighbours of each item to FOLDER/peer-METHOD.rows and prints figures as JSON.
The time excludes reading files and importing libraries; the peak memory includes both.
"""

import json
import os
import resource
import sys
import time

KEPT = 50
THREADS = os.cpu_count() or 1


def sessions(folder):
    with open(os.path.join(folder, "train.txt")) as lines:
        return [line.split() for line in lines]


def matrix(log):
    """The items of the sessions, and the binary session-item matrix."""
    import numpy
    from scipy.sparse import csr_matrix

    items = sorted({item for session in log for item in session})
    number = {item: place for place, item in enumerate(items)}
    pairs = sorted({(row, number[item]) for row, session in enumerate(log) for item in session})
    rows, columns = numpy.array(pairs, dtype=numpy.int32).T
    ones = numpy.ones(len(pairs), dtype=numpy.float32)
    return items, csr_matrix((ones, (rows, columns)), shape=(len(log), len(items)))


def implicit_rows(model, items, seen, **options):
    import numpy

    model.fit(seen, show_progress=False, **options)
    near, _ = model.similar_items(numpy.arange(len(items)), N=KEPT + 1)
    return {items[at]: [items[other] for other in row if other >= 0] for at, row in enumerate(near)}


def cosine(log):
    from implicit.nearest_neighbours import CosineRecommender

    items, seen = matrix(log)
    return lambda: implicit_rows(CosineRecommender(K=KEPT + 1, num_threads=THREADS), items, seen)


def als(log):
    from implicit.als import AlternatingLeastSquares

    items, seen = matrix(log)
    model = AlternatingLeastSquares(
        factors=128, iterations=15, regularization=0.01, alpha=40.0, num_threads=THREADS, random_state=1
    )
    return lambda: implicit_rows(model, items, seen)


def item2vec(log):
    from gensim.models import Word2Vec

    def run():
        model = Word2Vec(
            log, sg=1, vector_size=128, window=5, shrink_windows=False, negative=5, min_count=1, sample=0,
            epochs=5, workers=THREADS, seed=1,
        )
        words = model.wv
        words.fill_norms()
        found = {}
        import numpy

        unit = words.vectors / words.norms[:, None]
        for start in range(0, len(unit), 512):
            near = unit[start : start + 512] @ unit.T
            best = numpy.argpartition(-near, KEPT + 1, axis=1)[:, : KEPT + 1]
            for at, row in enumerate(best):
                row = row[numpy.argsort(-near[at, row])]
                found[words.index_to_key[start + at]] = [words.index_to_key[other] for other in row]
        return found

    return run


def main():
    method, folder = sys.argv[1:]
    run = {"cosine": cosine, "als": als, "item2vec": item2vec}[method](sessions(folder))
    wall, cpu = time.perf_counter(), time.process_time()
    rows = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    with open(os.path.join(folder, f"peer-{method}.rows"), "w") as out:
        for item, row in rows.items():
            others = [other for other in row if other != item][:KEPT]
            out.write(" ".join([item, *others]) + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_mib": peak}))


main()
