"""Groups of records that belong together: duplicates, one scaffold, one family of sequences."""

import zlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from kagaku.data.crystals import Crystal, composition_of
from kagaku.data.nucleotides import (
    canonical_strand,
    canonical_words,
    dna_letters,
    mixed_words,
    word_length,
)
from kagaku.data.records import Records
from kagaku.errors import InputError

Groups = Int[np.ndarray, " record"]
"""The index of each record's group, from 0 in order of first appearance."""

KMER = 4
"""Residues per k-mer."""

KMER_SIMILARITY = 0.3
"""Jaccard similarity of k-mer sets from which two sequences are family. With k = 4 substitutions
at random positions bring it there at about 82% identity: J = s / (2 - s) with s = identity^4."""

SEQUENCES = ("protein", "nucleotide")
"""Modalities that fall into families by the similarity of their sequences."""

PERMUTATIONS = 128
"""Hash functions of one MinHash; the standard error of a similarity is about 0.04."""


def group_of_keys(keys: Sequence[Hashable]) -> Groups:
    """Return groups of records with equal keys."""
    index: dict[Hashable, int] = {}
    return np.array([index.setdefault(key, len(index)) for key in keys], dtype=np.int64)


def joined(*groupings: Groups) -> Groups:
    """Return the finest groups that leave no group of any grouping cut in two."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n_records = len(groupings[0])
    nodes = n_records
    rows, columns = [], []
    for groups in groupings:
        rows.append(np.arange(n_records))
        columns.append(groups + nodes)
        nodes += int(groups.max(initial=-1)) + 1
    links = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(links[0]), dtype=np.int8), links), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    return group_of_keys(labels[:n_records].tolist())


def scaffold_groups(molecules: Sequence[str | None]) -> Groups:
    """Return groups of molecules with one Bemis-Murcko scaffold.

    Molecules without rings have the empty scaffold and form one group; missing and unreadable ones
    stand alone. Source: Bemis and Murcko 1996, https://doi.org/10.1021/jm9602928
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds import MurckoScaffold

    known: dict[str, str] = {}
    keys: list[Hashable] = []
    with rdBase.BlockLogs():
        for record, smiles in enumerate(molecules):
            if smiles is not None and smiles not in known:
                molecule: Any = Chem.MolFromSmiles(smiles)
                if molecule is not None:
                    scaffold = MurckoScaffold.GetScaffoldForMol(molecule)  # type: ignore[no-untyped-call]
                    known[smiles] = Chem.MolToSmiles(scaffold, isomericSmiles=False)
            keys.append(record if smiles is None else known.get(smiles, record))
    return group_of_keys(keys)


def sequence_groups(sequences: Sequence[str | None]) -> Groups:
    """Return families of proteins: linked through MinHash similarity of their k-mers.

    Missing sequences stand alone; those shorter than a k-mer are family only if equal.
    """
    from datasketch import MinHash

    empty = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32)

    def sketch(sequence: str) -> Any:
        code = sequence.encode()
        made = empty.copy()
        made.update_batch({code[i : i + KMER] for i in range(max(1, len(code) - KMER + 1))})
        return made

    return _families(["".join(one.split()).upper() if one else None for one in sequences], sketch)


def nucleotide_groups(sequences: Sequence[str | None]) -> Groups:
    """Return families of DNA or RNA: linked through MinHash similarity of their words.

    Both strands of a molecule are one. Words are as long as the longest sequence asks for
    (`nucleotides.word_length`): with 8 bases, as for enhancers of 200, substitutions at random
    positions bring the similarity to the limit at about 91% identity. Missing sequences stand
    alone; those without a word are family only if equal.
    """
    from datasketch import MinHash

    cleaned = [canonical_strand(dna_letters(one)) if one else None for one in sequences]
    length = word_length(max((len(one) for one in cleaned if one), default=1))
    empty = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)

    def sketch(sequence: str) -> Any:
        words = mixed_words(canonical_words(sequence, length)).tolist()
        made = empty.copy()
        made.update_batch(words or [zlib.crc32(sequence.encode())])
        return made

    return _families(cleaned, sketch)


def _families(cleaned: Sequence[str | None], sketch: Callable[[str], Any]) -> Groups:
    """Return groups of sequences whose sketches are alike, directly or through others."""
    from datasketch import MinHashLSH

    distinct = sorted({one for one in cleaned if one})
    search = MinHashLSH(threshold=KMER_SIMILARITY, num_perm=PERMUTATIONS)
    hashes = np.zeros((len(distinct), PERMUTATIONS), dtype=np.uint32)
    for index, sequence in enumerate(distinct):
        hashes[index] = sketch(sequence).hashvalues
    parent = np.arange(len(distinct))
    for start, end in search.hashranges:
        for bucket in _equal_rows(hashes[:, start:end]):
            _join_alike(bucket, hashes, parent)
    of_sequence = dict(zip(distinct, _roots(np.arange(len(distinct)), parent), strict=True))
    return group_of_keys(
        [
            f"row {i}" if one is None else of_sequence.get(one, f"row {i}")
            for i, one in enumerate(cleaned)
        ]
    )


def _equal_rows(table: np.ndarray) -> list[Int[np.ndarray, " row"]]:
    """Return the rows that are equal to others, by their content."""
    if not len(table):
        return []
    _, content, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(content.reshape(-1), kind="stable")
    return [one for one in np.split(order, np.cumsum(counts)[:-1]) if len(one) > 1]


def _join_alike(bucket: np.ndarray, hashes: np.ndarray, parent: np.ndarray) -> None:
    """Make one family of the families in a bucket that sketches alike link.

    Only sketches of different families are compared, so that a bucket of thousands of variants of
    one protein, which soon are one family, takes little more than one look.
    """
    roots = _roots(bucket, parent)
    for place in range(len(bucket)):
        own = roots[place]
        others = np.flatnonzero(roots != own)
        if not len(others):
            return
        others = others[others > place]
        alike = _are_alike(hashes[bucket[place]], hashes[bucket[others]])
        linked = np.unique(roots[others[alike]])
        parent[linked] = own
        roots[np.isin(roots, linked)] = own


def _are_alike(own: np.ndarray, others: np.ndarray) -> Bool[np.ndarray, " other"]:
    """Return which sketches are as similar to one as a family asks for."""
    return np.asarray((others == own).mean(axis=1) >= KMER_SIMILARITY)


def _roots(indices: np.ndarray, parent: np.ndarray) -> Int[np.ndarray, " index"]:
    """Return what stands for the family of each index, and make the way to it short."""
    found = parent[indices]
    while (parent[found] != found).any():
        found = parent[found]
    parent[indices] = found
    return np.asarray(found)


def chemical_system_groups(materials: Sequence[str | Crystal | None]) -> Groups:
    """Return groups of materials made of the same elements, whatever their amounts.

    A series of solid solutions is one group, and so are the oxides of one metal; missing and
    unreadable ones stand alone.
    """
    keys: list[Hashable] = []
    for record, value in enumerate(materials):
        try:
            keys.append(record if value is None else composition_of(value).system)
        except InputError:
            keys.append(record)
    return group_of_keys(keys)


def column_groups(records: Records) -> Groups:
    """Return groups of records with one value in the group column; an empty cell stands alone."""
    assert records.groups is not None
    return group_of_keys(
        [
            ("row", i) if value is None else ("group", str(value))
            for i, value in enumerate(records.groups.tolist())
        ]
    )


def richest_groups(records: Records, *modalities: str) -> tuple[str, Groups]:
    """Return (name, groups) of the input of these modalities that falls into the most groups."""
    inputs = [one for one in records.schema.inputs if one.modality in modalities]
    if not inputs:
        what = {"molecule": "scaffold", "material": "chemical system"}.get(
            modalities[0], "sequence"
        )
        raise InputError(
            f"a split by {what} needs a {' or '.join(modalities)} among the inputs",
            fix="Choose another split, such as random.",
            where=records.source,
        )
    groupings: dict[str, Callable[[Sequence[Any]], Groups]] = {
        "molecule": scaffold_groups,
        "protein": sequence_groups,
        "nucleotide": nucleotide_groups,
        "material": chemical_system_groups,
    }
    found = [(one.name, groupings[one.modality](records.inputs[one.name])) for one in inputs]
    return max(found, key=lambda pair: int(pair[1].max()))


def class_strata(records: Records) -> np.ndarray | None:
    """Return the class of each record of the first target with classes, so both sides have all."""
    for target in records.schema.targets:
        if target.kind in ("binary", "multiclass") and target.name in records.targets:
            classes: np.ndarray = np.nan_to_num(records.targets[target.name].values, nan=-1)
            return classes.astype(np.int64)
    return None
