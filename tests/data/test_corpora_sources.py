"""Sources read from packages made here, in the layout of the real ones."""

import gzip
import io
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import xarray as xr

from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.sources import SOURCES, Source, simulate_speedy
from kagaku.data.corpora.sources.chemicals import TABLES, names_text
from kagaku.data.corpora.sources.passages import passages
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError


def read(name: str, folder: Path) -> list[RawSample]:
    return list(opened(name, folder).read())


def opened(name: str, folder: Path) -> Source:
    packages = SOURCES[name].packages
    return SOURCES[name]({package.key: folder for package in packages})


def place(folder: Path, path: str) -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    return folder / path


def test_every_source_says_what_it_needs_and_gives() -> None:
    for name, source in SOURCES.items():
        assert source.licence, name
        assert source.inputs, name
        assert set(source.inputs.values()) <= {
            "molecule", "protein", "nucleotide", "material", "text", "image", "climate", "quantity"
        }  # fmt: skip
        for package in source.packages:
            assert package.n_megabytes > 0
            assert package.files
            assert (package.manager == "apt") == (package.form == "deb")
            assert (package.manager == "simulation") == bool(package.program)
            assert (package.manager == "simulation") == bool(package.n_minutes)


def test_transport_properties_come_with_their_compounds(tmp_path: Path) -> None:
    content = b"mp_id,pretty_formula,S_p,S_n\nmp-1000,BaTe,545.9,-489.9\nmp-2,NaN,,-3\n"
    file = place(tmp_path, "matminer/utils/data_files/mp_transport/transport_database.tar.xz")
    with tarfile.open(file, "w:xz") as archive:
        member = tarfile.TarInfo("transport_database.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    p_type, n_type = (f"Seebeck coefficient, {kind}-type" for kind in "pn")
    assert read("transport-properties", tmp_path) == [
        RawSample(
            "mp-1000",
            {
                "material": "BaTe",
                p_type: Quantity(p_type, 545.9, "uV/K"),
                n_type: Quantity(n_type, -489.9, "uV/K"),
            },
        ),
        # Sodium nitride, not a missing cell.
        RawSample("mp-2", {"material": "NaN", n_type: Quantity(n_type, -3.0, "uV/K")}),
    ]


def test_moses_holds_its_test_sets_out(tmp_path: Path) -> None:
    for part, smiles in {
        "train": ["CCO", "CCC"],
        "test": ["CCN"],
        "test_scaffolds": ["CN"],
    }.items():
        text = "SMILES,SPLIT\n" + "".join(f"{one},{part}\n" for one in smiles)
        file = place(tmp_path, f"moses/dataset/data/{part}.csv.gz")
        file.write_bytes(gzip.compress(text.encode()))
    assert [one.inputs["molecule"] for one in read("moses", tmp_path)] == ["CCO", "CCC"]
    held = [(one.set_name, one.value) for one in opened("moses", tmp_path).held_out()]
    assert held == [("MOSES test", "CCN"), ("MOSES test_scaffolds", "CN")]


def test_chemicals_come_alone_and_with_their_names(tmp_path: Path) -> None:
    row = ["702", "64-17-5", "C2H6O", "46.07", "CCO", "InChI", "KEY", "ethanol", "ethanol",
           "ethyl alcohol", "64-17-5", "unii-3k9958v90m", "tecsol c"]  # fmt: skip
    for size in ("small", "large"):  # both files list it
        file = place(tmp_path, f"chemicals/Identifiers/chemical identifiers pubchem {size}.tsv")
        file.write_text("\t".join(row) + "\n")
    assert read("chemicals", tmp_path) == [RawSample("702", {"molecule": "CCO"})]
    (named,) = read("chemical-names", tmp_path)
    assert named.inputs == {
        "molecule": "CCO",
        "text": "ethanol (C2H6O); ethyl alcohol; unii-3k9958v90m; tecsol c",
    }


def test_chemicals_come_with_what_tables_have_of_them(tmp_path: Path) -> None:
    rows = [["702", "64-17-5", "C2H6O", "46.07", "CCO", "InChI", "KEY", "ethanol"],
            ["280", "124-38-9", "CO2", "44.01", "O=C=O", "InChI", "KEY", "carbon dioxide"],
            ["1", "1-1-1", "CH4", "16.0", "C", "InChI", "KEY", "methane"]]  # fmt: skip
    for size in ("small", "large"):
        file = place(tmp_path, f"chemicals/Identifiers/chemical identifiers pubchem {size}.tsv")
        file.write_text("".join("\t".join(row) + "\n" for row in rows))
    cells = {"melting point": "159.05", "boiling point": "351.39"}
    for name, (table, column, _) in TABLES.items():
        value = cells.get(name, "")
        text = f"CAS\tNote\t{column}\n64-17-5\tx\t{value}\n124-38-9\tx\tnan\n"
        place(tmp_path, f"chemicals/{table}").write_text(text)
    assert read("chemical-properties", tmp_path) == [
        RawSample(
            "702",
            {
                "molecule": "CCO",
                "melting point": Quantity("melting point", 159.05, "K"),
                "boiling point": Quantity("boiling point", 351.39, "K"),
            },
        )
    ]


def test_a_chemical_without_a_common_name_is_called_by_iupacs() -> None:
    assert names_text("", ["1", "", "CH4O", "", "CO", "", "", "methanol"]) == "methanol (CH4O)"


def test_chebi_tells_definition_class_and_roles(tmp_path: Path) -> None:
    place(tmp_path, "usr/share/EMBOSS/data/OBO/chebi.obo").write_text(
        "format-version: 1.2\n\n"
        "[Term]\nid: CHEBI:1\nname: ethanol\n"
        'def: "A \\"primary\\" alcohol." []\n'
        'synonym: "C\\\\C=C" RELATED SMILES [ChEBI:]\nis_a: CHEBI:2\n'
        "relationship: has_role CHEBI:3\nrelationship: has_role CHEBI:4\n\n"
        "[Term]\nid: CHEBI:2\nname: alcohol\n\n"
        "[Term]\nid: CHEBI:3\nname: solvent\n\n[Term]\nid: CHEBI:4\nname: antiseptic\n\n"
        '[Term]\nid: CHEBI:5\nname: old\nis_obsolete: true\nsynonym: "C" RELATED SMILES []\n\n'
        "[Typedef]\nid: has_role\nname: has role\n"
    )
    assert read("chebi", tmp_path) == [
        RawSample(
            "CHEBI:1",
            {
                "molecule": "C\\C=C",
                "text": 'ethanol: A "primary" alcohol. It is a kind of alcohol. '
                "It has the role of solvent and antiseptic.",
            },
        )
    ]


def _blast(folder: Path, kind: str, entries: dict[str, str]) -> None:
    """Write a protein database of BLAST version 4."""
    base = place(folder, f"usr/share/metastudent-data/dataset_201401/{kind}/goasp.fasta")
    letters = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"
    headers, codes, starts, places = b"", b"\0", [0], [1]
    for title, sequence in entries.items():
        told = title.encode()
        size = bytes([len(told)]) if len(told) < 128 else b"\x82" + len(told).to_bytes(2, "big")
        headers += b"0\x800\x80\xa0\x80\x1a" + size + told + b"\0\0"
        codes += bytes(letters.index(one) for one in sequence) + b"\0"
        starts.append(len(headers))
        places.append(len(codes))

    def number(*values: int) -> bytes:
        return np.array(values, dtype=">i4").tobytes()

    name, date = b"test", b"Jan 1, 2022\0"
    base.with_name("goasp.fasta.pin").write_bytes(
        number(4, 1, len(name)) + name + number(len(date)) + date + number(len(entries))
        + np.array([10], dtype="<i8").tobytes() + number(10) + number(*starts) + number(*places)
    )  # fmt: skip
    base.with_name("goasp.fasta.phr").write_bytes(headers)
    base.with_name("goasp.fasta.psq").write_bytes(codes)


@pytest.fixture
def swissprot(tmp_path: Path) -> Path:
    many = ",".join(["GO:0000001"] * 20)
    _blast(tmp_path, "MFO", {"P1|GO:0000001,GO:0000001,GO:0000002": "MKTU", f"P2|{many}": "ACDX"})
    _blast(tmp_path, "BPO", {"P1|GO:0000003": "MKTU", "P3|GO:0009999": "WYV"})
    _blast(tmp_path, "CCO", {"P1|": "MKTU"})
    path = place(tmp_path, "usr/lib/R/site-library/GO.db/extdata/GO.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE go_term (go_id, term, ontology, definition)")
    connection.executemany(
        "INSERT INTO go_term VALUES (?, ?, '', ?)",
        [
            ("GO:0000001", "ATP binding", "Binding to ATP. It matters much."),
            ("GO:0000002", "kinase activity", "Transfer of " + "a phosphate " * 40),
            ("GO:0000003", "growth", None),
            ("all", "all", "all"),
        ],
    )
    connection.commit()
    connection.close()
    return tmp_path


def test_swissprot_is_read_from_a_blast_database(swissprot: Path) -> None:
    found = {one.name: one.inputs["protein"] for one in read("swissprot", swissprot)}
    assert found == {"P1": "MKTU", "P2": "ACDX", "P3": "WYV"}


def test_proteins_are_told_by_their_rarest_terms(swissprot: Path) -> None:
    found = {one.name: one.inputs["text"] for one in read("swissprot-go", swissprot)}
    assert set(found) == {"P1", "P2"}  # P3 has only a term that the ontology lacks
    assert found["P2"] == "Function: ATP binding. ATP binding: Binding to ATP."
    assert found["P1"].startswith(
        "Function: kinase activity, ATP binding. Process: growth. kinase activity: Transfer of a"
    )
    assert found["P1"].endswith(" ... ATP binding: Binding to ATP.")


def test_genomes_are_cut_into_windows_of_whole_rows(tmp_path: Path) -> None:
    path = "usr/share/doc/ragout/examples/E.Coli/references/DH1.fasta.gz"
    bases = "ACGTTGCA" * 400
    text = f">chromosome 1\n{bases[:2000]}\n{bases[2000:]}\n>plasmid\n{bases[:1600]}\n"
    place(tmp_path, path).write_bytes(gzip.compress(text.encode()))
    found = read("bacterial-genomes", tmp_path)
    assert [one.name for one in found] == [
        "E.Coli/DH1/1/0",
        "E.Coli/DH1/1/1530",
        "E.Coli/DH1/2/0",  # what is left, 140 and 70 bases, is too short
    ]
    assert found[1].inputs == {"nucleotide": bases[1530:3060]}
    assert found[0].groups == found[1].groups != found[2].groups


def test_another_blast_version_is_told(swissprot: Path) -> None:
    path = swissprot / "usr/share/metastudent-data/dataset_201401/MFO/goasp.fasta.pin"
    path.write_bytes(b"\0\0\0\5" + path.read_bytes()[4:])
    with pytest.raises(InputError, match=r"goasp.fasta.pin: .* version 5 and type 1. A protein"):
        read("swissprot", swissprot)


def _packed(values: list[Any]) -> dict[str, Any]:
    """Return a column of BinaryCIF, encoded as real files are."""
    if isinstance(values[0], str):
        distinct = sorted(set(values))
        ends = np.cumsum([0, *map(len, distinct)]).astype("<i4")
        plain = [{"kind": "ByteArray", "type": 3}]
        encoding = {
            "kind": "StringArray", "stringData": "".join(distinct), "offsets": ends.tobytes(),
            "offsetEncoding": plain, "dataEncoding": plain,
        }  # fmt: skip
        codes = np.array([distinct.index(one) for one in values], dtype="<i4")
        return {"data": codes.tobytes(), "encoding": [encoding]}
    if isinstance(values[0], int):
        runs = np.array([x for one in values for x in (one, 1)], dtype=np.int8)
        steps = [
            {"kind": "RunLength", "srcType": 3, "srcSize": len(values)},
            {"kind": "IntegerPacking", "byteCount": 1, "isUnsigned": False, "srcSize": len(runs)},
            {"kind": "ByteArray", "type": 1},
        ]
        return {"data": runs.tobytes(), "encoding": steps}
    scaled = np.round(np.array(values) * 1000).astype(np.int64)
    packed: list[int] = []
    for one in np.diff(scaled, prepend=0).tolist():
        limit = 32767 if one >= 0 else -32768
        while (one >= limit) if one >= 0 else (one <= limit):
            packed.append(limit)
            one -= limit
        packed.append(one)
    steps = [
        {"kind": "FixedPoint", "factor": 1000, "srcType": 33},
        {"kind": "Delta", "origin": 0, "srcType": 3},
        {"kind": "IntegerPacking", "byteCount": 2, "isUnsigned": False, "srcSize": len(values)},
        {"kind": "ByteArray", "type": 2},
    ]
    return {"data": np.array(packed, dtype="<i2").tobytes(), "encoding": steps}


def test_pdb_components_are_put_together_from_atoms_and_bonds(tmp_path: Path) -> None:
    import msgpack  # type: ignore[import-untyped]

    from kagaku.data.corpora.sources.pdb_components import _WANTED

    # Fluoro-chloro-bromo-methane with a hand, methylammonium, and one with an unknown element.
    corners = [(0, 0, 0), (1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)]
    rows: dict[str, list[tuple[Any, ...]]] = {
        "chem_comp": [
            ("ABC", "CHIRAL METHANE", "N"), ("MAM", "Methylammonium", "Y"), ("X", "x", "N")
        ],
        "chem_comp_atom": [
            *(("ABC", f"{element}1", element, 0, *(40.0 * x for x in corner))
              for element, corner in zip(("C", "F", "CL", "BR", "H"), corners, strict=True)),
            ("MAM", "C1", "C", 0, 0.0, 0.0, 0.0), ("MAM", "N1", "N", 1, 0.0, 0.0, 0.0),
            ("X", "Q1", "Q", 0, 0.0, 0.0, 0.0),
        ],
        "chem_comp_bond": [
            *(("ABC", "C1", other, "SING") for other in ("F1", "CL1", "BR1", "H1")),
            ("MAM", "C1", "N1", "SING"),
        ],
    }  # fmt: skip
    categories = [
        {
            "name": f"_{name}",
            "rowCount": len(table),
            "columns": [
                {"name": column, "data": _packed([row[i] for row in table]), "mask": None}
                for i, column in enumerate(_WANTED[name])
            ],
        }
        for name, table in rows.items()
    ]
    place(tmp_path, "biotite/structure/info/components.bcif").write_bytes(
        msgpack.packb({"dataBlocks": [{"header": "ccd", "categories": categories}]})
    )
    chiral, ammonium, unknown = read("pdb-components", tmp_path)
    assert chiral.inputs["text"] == "chiral methane (ABC)"
    made = chiral.inputs["molecule"].value()
    assert made.replace("@@", "@").count("@") == 1
    assert ammonium.inputs["molecule"].value() == "C[NH3+]"
    with pytest.raises(InputError, match=r"the component is no molecule that RDKit reads"):
        unknown.inputs["molecule"].value()


def test_abstracts_are_cut_into_passages(tmp_path: Path) -> None:
    long = " ".join(f"Sentence number {i} has six words." for i in range(40))
    xml = (
        "<PubmedArticleSet>"
        "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>[On <i>E. coli</i>.]"
        '</ArticleTitle><Abstract><AbstractText Label="METHODS">We looked.</AbstractText>'
        f"<AbstractText>{long}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
        "<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>No abstract."
        "</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
    )
    place(tmp_path, "data/pubmed20n0014.xml.gz").write_bytes(gzip.compress(xml.encode()))
    found = read("pubmed", tmp_path)
    assert [one.name for one in found] == ["pubmed20n001/1/1/0", "pubmed20n001/1/1/1"]
    assert found[0].inputs["text"].startswith("On E. coli. Methods: We looked. Sentence number 0")
    assert all(len(one.inputs["text"].split()) <= 150 for one in found)
    # Passages of one abstract are trained on, or held out, together.
    assert {one.groups for one in found} == {("pubmed 1",)}


def test_a_sentence_without_end_is_cut() -> None:
    assert list(passages("a b c d e", most_words=2)) == ["a b", "c d", "e"]
    assert list(passages("  ")) == []


def test_wordnet_gives_concepts_with_enough_words(tmp_path: Path) -> None:
    licence = "  1 This software and database is being provided to you, the LICENSEE.\n"
    gloss = "a tangible and visible entity; an entity that can cast a shadow"
    for kind in ("noun", "verb", "adj", "adv"):
        place(tmp_path, f"usr/share/wordnet/data.{kind}").write_text(
            licence + (f"00002684 03 n 02 object 0 physical_object 0 001 @ 1 n 0 | {gloss}  \n"
                       "00002685 03 n 01 thing 0 000 | short  \n" if kind == "noun" else "")
        )  # fmt: skip
    assert read("wordnet", tmp_path) == [
        RawSample("noun/00002684", {"text": f"object, physical object (noun): {gloss}"})
    ]


def test_gcide_entries_lose_their_marks(tmp_path: Path) -> None:
    entry = (
        'Abdomen \\Ab*do"men\\, n. [L. abdomen.]\n   1. The belly, or that part of the {body} '
        "between the thorax and the pelvis, they say.\n   [1913 Webster]\n"
    )
    junk = "x" * 70
    place(tmp_path, "usr/share/dictd/gcide.dict.dz").write_bytes(
        gzip.compress((junk + entry).encode())
    )
    size = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    told = size[len(entry) // 64] + size[len(entry) % 64]
    place(tmp_path, "usr/share/dictd/gcide.index").write_text(
        f"00-database-info\tA\tB\nabdomen\tBG\t{told}\nabdomens\tBG\t{told}\n"
    )
    (found,) = read("gcide", tmp_path)
    assert found.inputs["text"].startswith("Abdomen , n. [L. abdomen.] 1. The belly, or that part")
    assert found.inputs["text"].endswith("of the body between the thorax and the pelvis, they say.")
    assert found.groups == (f"gcide {len(junk)}",)


def test_cf_names_are_told_with_unit_and_definition(tmp_path: Path) -> None:
    place(tmp_path, "compliance_checker/data/cf-standard-name-table.xml").write_text(
        "<standard_name_table><entry id='air_temperature'><canonical_units>K</canonical_units>"
        "<description>Air temperature is the bulk temperature of the air.</description></entry>"
        "<entry id='untold'><canonical_units>1</canonical_units><description/></entry>"
        "</standard_name_table>"
    )
    (found,) = read("cf-names", tmp_path)
    assert found == RawSample(
        "air_temperature/0",
        {"text": "air temperature (K): Air temperature is the bulk temperature of the air."},
        ("cf-names air_temperature",),
    )


def test_fields_are_paired_with_later_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.arange("1989-01", "1991-01", dtype="datetime64[M]").astype("datetime64[ns]")
    values = rng.normal(size=(24, 4, 6)).astype(np.float32)
    values[:, 1, 2] = 0  # land
    values[3, 2, 4] = 20  # ice
    data = xr.Dataset(
        {"ssta": (("time", "lat", "lon"), values)},
        {"time": times, "lat": ("lat", [80.0, 30.0, -30.0, -60.0], {"units": "degrees_north"}),
         "lon": ("lon", np.arange(6) * 60.0, {"units": "degrees_east"})},
    )  # fmt: skip
    path = "jcm/data/bc/t30/anom/sea_surface_temperature_anomaly.nc"
    data.to_netcdf(place(tmp_path, path))
    samples = read("sea-surface", tmp_path)
    assert len(samples) == 12  # 1990 is for benchmarks
    first = samples[1].inputs
    field, later = first["climate"], first["later"]
    assert isinstance(field, Field)
    assert (field.names, field.units) == (("surface_temperature_anomaly",), ("K",))
    assert np.isnan(field.values[0, 0]).all()
    assert np.isnan(field.values[0, 1, 2])
    assert np.isnan(field.values[0, 2, 4])
    np.testing.assert_allclose(field.values[0, 3], values[1, 3])
    np.testing.assert_allclose(later.values[0, 3], values[4, 3])
    assert first["lead"] == Quantity("lead time", 3 * 30.436875, "day")
    assert samples[1].groups == ("sea-surface 1989",)
    assert set(samples[3].inputs) == {"climate"}  # twelve months later nothing is left


def test_longitudes_beyond_a_whole_turn_are_brought_back(tmp_path: Path) -> None:
    times = np.arange("1982-01", "1982-03", dtype="datetime64[M]").astype("datetime64[ns]")
    east = np.arange(20.0, 380.0, 60.0)
    winds = np.broadcast_to(east, (2, 3, 6)).astype(np.float32)
    data = xr.Dataset(
        dict.fromkeys(("UWND", "VWND"), (("TIME", "Y", "X"), winds)),
        {"TIME": ("TIME", times), "Y": ("Y", [-30.0, 0.0, 30.0], {"units": "degrees_north"}),
         "X": ("X", east, {"units": "degrees_east"})},
    )  # fmt: skip
    data.to_netcdf(place(tmp_path, "usr/share/ferret-vis/data/monthly_navy_winds.cdf"))
    field = read("navy-winds", tmp_path)[0].inputs["climate"]
    assert field.longitudes.tolist() == sorted((east % 360).tolist())
    np.testing.assert_array_equal(field.values[0, 0] % 360, field.longitudes)
    assert field.names == ("eastward_wind", "northward_wind")


def test_simulated_weather_is_paired_with_later_weather(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n_times = (simulate_speedy.SPIN_UP_DAYS + simulate_speedy.DAYS) * 24 // simulate_speedy.HOURS
    times = np.datetime64("2001-01-01", "ns") + np.arange(n_times) * np.timedelta64(6, "h")
    values = rng.normal(size=(n_times, 6, 4)).astype(np.float32)
    coordinates = {
        "time": times,
        "lon": np.arange(6) * 60.0,
        "lat": [45.0, 15.0, -15.0, -45.0],
        "hybrid_a_full": 0.0,
    }
    data = xr.Dataset(
        dict.fromkeys(simulate_speedy.NAMES, (("time", "lon", "lat"), values))
        | {"humidity.rh": (("time", "lon", "lat"), values)},
        coordinates,
    )
    for number in range(simulate_speedy.N_SEGMENTS):
        simulate_speedy.write(data, tmp_path / simulate_speedy.segment_file(number))
    samples = read("simulated-weather", tmp_path)
    assert len(samples) == SOURCES["simulated-weather"].n_about
    assert len({one.name for one in samples}) == len(samples)
    first, second = samples[0].inputs, samples[1].inputs
    assert (first["climate"].names, first["climate"].units) == (("air_temperature",), ("K",))
    spin_up = simulate_speedy.SPIN_UP_DAYS * 4
    # South comes first in the file, longitudes second on each field.
    np.testing.assert_allclose(first["climate"].values[0], values[spin_up].T[::-1])
    np.testing.assert_allclose(first["later"].values[0], values[spin_up + 1].T[::-1])
    assert first["lead"] == Quantity("lead time", 0.25, "day")
    assert second["lead"] == Quantity("lead time", 0.5, "day")
    assert {one.groups for one in samples} == {
        (f"simulated segment {number}",) for number in range(simulate_speedy.N_SEGMENTS)
    }
    winds = [one for one in samples if len(one.inputs["climate"].names) == 2]
    assert len(winds) * 2 == len(samples)
    assert set(samples[79].inputs) == {"climate"}  # nothing is left after the last hours


def test_digits_are_images_with_names(tmp_path: Path) -> None:
    found = read("digits", tmp_path)
    assert len(found) == 1_797
    assert found[3].inputs["text"] == "a handwritten digit three, 3"
    image = found[3].inputs["image"]
    assert (image.shape, image.dtype) == ((8, 8, 1), np.uint8)
    assert max(one.inputs["image"].max() for one in found) == 255


def test_photographs_of_the_sky_get_the_catalogues_words(tmp_path: Path) -> None:
    folder = place(tmp_path, "usr/share/stellarium/nebulae/default/x").parent
    PIL.Image.new("P", (600, 300)).save(folder / "m31.png")
    PIL.Image.new("RGB", (20, 20)).save(folder / "veil-east.png")
    PIL.Image.new("RGB", (20, 20)).save(folder / "nowhere.png")
    corners = [[[313.0, 31.0], [314.0, 31.0], [314.0, 32.0], [313.0, 32.0]]]
    tiles = [
        {"imageUrl": "m31.png"},
        {"imageUrl": "veil-east.png", "worldCoords": corners},
        {"imageUrl": "nowhere.png", "worldCoords": [[[1.0, -80.0], [1.1, -80.1]]]},
        {"imageUrl": "missing.png", "worldCoords": corners},
    ]
    text = json.dumps({"subTiles": tiles}).replace("-80.1", "-.1e2")  # as the real file writes it
    (folder / "textures.json").write_text(text)
    path = place(tmp_path, "pyongc/ongc.db")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE objTypes (type, typedesc)")
    connection.executemany(
        "INSERT INTO objTypes VALUES (?, ?)", [("G", "Galaxy"), ("HII", "HII region")]
    )
    columns = (
        "name, type, ra, dec, const, majax, bmag, vmag, hubble, redshift, messier, commonnames"
    )
    connection.execute(f"CREATE TABLE objects ({columns})")
    connection.executemany(
        f"INSERT INTO objects VALUES ({', '.join('?' * 12)})",
        [
            (
                "NGC0224",
                "G",
                0.18,
                0.72,
                "And",
                177.83,
                4.36,
                3.44,
                "Sb",
                -0.001,
                "031",
                "Andromeda Galaxy",
            ),
            (
                "NGC6992",
                "HII",
                np.deg2rad(313.6),
                np.deg2rad(31.4),
                "Cyg",
                None,
                7.0,
                None,
                "",
                None,
                "",
                "",
            ),
            (
                "NGC6993",
                "HII",
                np.deg2rad(313.5),
                np.deg2rad(31.5),
                "Cyg",
                None,
                9.0,
                None,
                "",
                None,
                "",
                "",
            ),
        ],
    )
    connection.commit()
    connection.close()
    andromeda, veil = read("sky", tmp_path)
    assert andromeda.inputs["text"] == (
        "Andromeda Galaxy, Messier 31, NGC0224: galaxy in And, magnitude 3.44, "
        "177.83 arcminutes across, Hubble type Sb, redshift -0.001"
    )
    assert veil.inputs["text"] == "NGC6992: HII region in Cyg, magnitude 7"
    assert isinstance(andromeda.inputs["image"], Deferred)
    assert andromeda.inputs["image"].value().shape == (128, 256, 3)


def test_a_package_without_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the package molsets has 0 files .*empty the cache"):
        read("moses", tmp_path)
