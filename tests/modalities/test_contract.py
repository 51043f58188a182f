"""One suite for every modality. A new modality adds its entry to ENTRIES and gets all of it."""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from kagaku.data.crystals import Crystal
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, Modality, Tokens


@dataclass(frozen=True)
class Entry:
    """What the suite needs to know about one modality."""

    examples: Callable[[Path], list[Any]]
    """Raw values that are fine; may write files into the folder."""

    bad: Callable[[Path], dict[str, Any]]
    """Raw values that are refused, by a regular expression that the message has to match."""


def texts(_: Path) -> list[str]:
    return ["Stirred at 25 °C for 3 h.", " µ日本\n🧪", "<mask> is only text here", "a"]


def bad_texts(_: Path) -> dict[str, str]:
    return {
        r"the text is empty": " \n",
        r"NUL character \(character 3\).*UTF-8": "ab\0c",
        r"not valid Unicode \(character 2 .*UTF-8": "a\ud800",
        r"has 6,002 tokens, more than 4,096.*abstract": "7" * 6_000,
        r"has 10,000,000 bytes, too long for 4,096 tokens": "a" * 10_000_000,
    }


def molecules(_: Path) -> list[str]:
    return ["CCO", "c1ccccc1", "[Na+].[O-]C(=O)C", "N[C@@H](C)C(=O)O", "[13CH4]", "C/C=C/C"]


def bad_molecules(_: Path) -> dict[str, str]:
    return {
        r"the SMILES is empty": " ",
        r"'C1CC' is not a molecule.*unclosed rings": "C1CC",
        r"is not a molecule.*valence.*Correct the SMILES": "C(C)(C)(C)(C)C",
        r"'caffeine' is not a molecule": "caffeine",
        r"has 20000 characters, too long": "C" * 20_000,
    }


def proteins(_: Path) -> list[str]:
    return ["MKTAAV", "mkt aav*", "MX", "ACDEFGHIKLMNPQRSTVWYUOBZJX"]


def bad_proteins(_: Path) -> dict[str, str]:
    return {
        r"the protein sequence is empty": " ",
        r"\['1'\] \(first at residue 3\).*X for an unknown": "MK1A",
        r"\['-'\]": "MK-A",
        r"has 40001 residues, more than 40000": "A" * 40_001,
    }


def nucleotides(_: Path) -> list[str]:
    return ["ATGGCCTAA", "acg ugc\nau", ">guide 1\nGATT--ACA", "ACGTRYSWKMBDHVN", "N", "GC"]


def bad_nucleotides(_: Path) -> dict[str, str]:
    return {
        r"the nucleotide sequence is empty": " - ",
        r"\['E', 'Q'\] \(first at base 3\).*N for an unknown": "ACQTE",
        r"\['X'\]": "ACX",
        r"has both T and U.*U throughout for RNA": "ACGTU",
        r"other than one header line": ">a\nACGT\n>b\nACGT",
        r"FASTA with other than one header": ">a ACGT",
        r"has 1000001 bases, more than 1000000": "A" * 1_000_001,
        r"\(first at base 2\)": "A\u00df",
    }


def save(path: Path, pixels: np.ndarray) -> Path:
    PIL.Image.fromarray(pixels).save(path)
    return path


def images(folder: Path) -> list[Path | np.ndarray]:
    random = np.random.default_rng(0)
    colour = random.integers(0, 256, (20, 33, 3)).astype(np.uint8)
    return [
        save(folder / "colour.png", colour),
        save(folder / "colour.jpg", colour),
        random.integers(0, 65_536, (17, 5, 6)).astype(np.uint16),
        random.normal(size=(40, 16)),
        np.full((3, 3), 7, np.uint8),
    ]


def png_that_declares(rows: int, columns: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def bad_images(folder: Path) -> dict[str, Path | np.ndarray]:
    whole = save(
        folder / "whole.png", np.random.default_rng(1).integers(0, 256, (50, 50)).astype(np.uint8)
    )
    contents = {
        "empty.png": b"",
        "truncated.png": whole.read_bytes()[:-200],
        "notes.png": b"these are only notes, no image",
        "bomb.png": png_that_declares(60_000, 60_000),
        "large.png": png_that_declares(9_000, 8_000),
        "cut.tif": b"II*\0\x08\0\0\0\x05\0",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {
        r"there is no image file 'gone.png'": folder / "gone.png",
        r"'empty.png' is empty": folder / "empty.png",
        r"'truncated.png' is damaged.*Copy or export": folder / "truncated.png",
        r"'notes.png' is not an image.*Use PNG": folder / "notes.png",
        r"more pixels than any photograph.*64 megapixels": folder / "bomb.png",
        r"9000 x 8000 pixels in 1 channels, more than 64 mega": folder / "large.png",
        r"'cut.tif' is damaged": folder / "cut.tif",
        r"has no pixels \(0 x 4, 3 channels\)": np.zeros((0, 4, 3)),
        r"shape \(5,\) and type float64 is not an image": np.zeros(5),
        r"no finite pixel": np.full((4, 4), np.nan),
        r"8000 channels, too many": np.zeros((2, 2, 8_000), np.uint8),
    }


def some_field() -> Field:
    random = np.random.default_rng(0)
    values = random.normal(280, 10, (2, 6, 9)).astype(np.float32)
    values[0, 2, 3] = np.nan
    return Field(
        values=values,
        names=("air_temperature", "eastward_wind"),
        units=("K", "m s-1"),
        latitudes=np.linspace(-50, 50, 6),
        longitudes=np.arange(9) * 40.0,
        time=19_000.0,
        day_of_year=0.25,
    )


def climates(_: Path) -> list[Field]:
    field = some_field()
    return [field, replace(field, values=field.values[:, ::-1]), replace(field, day_of_year=None)]


def bad_climates(_: Path) -> dict[str, Field]:
    field = some_field()
    infinite = field.values.copy()
    infinite[0, 0, 0] = np.inf
    large = np.zeros((2, 720, 1_440), np.float32)
    return {
        r"latitude 91 out of range.*from -90 to 90": replace(
            field, latitudes=np.linspace(-50, 91, 6)
        ),
        r"longitude 400 out of range": replace(field, longitudes=np.linspace(0, 400, 9)),
        r"longitude nan out of range": replace(field, longitudes=np.full(9, np.nan)),
        r"a latitude occurs twice": replace(field, latitudes=np.zeros(6)),
        r"every cell of the field is missing": replace(
            field, values=np.full((2, 6, 9), np.nan, np.float32)
        ),
        r"infinite cells.*NaN": replace(field, values=infinite),
        r"shape \(1, 6, 9\) and 2 units, but 2 names, 6 lat": replace(
            field, values=field.values[:1]
        ),
        r"more than one variable named 'a'": replace(field, names=("a", "A")),
        r"no variable 'snow_depth' in training, only \['air_temp": replace(
            field, names=("air_temperature", "snow_depth")
        ),
        r"no variable 'air_temprature'.*Did you mean 'air_temperature'": replace(
            field, names=("air_temprature", "eastward_wind")
        ),
        r"air_temperature is in 'kg', in training it was in 'K'.*\[mass\]": replace(
            field, units=("kg", "m s-1")
        ),
        r"make 129,600 tokens, more than 8,192.*raise patch_cells to 16": replace(
            field,
            values=large,
            latitudes=np.linspace(-89, 89, 720),
            longitudes=np.arange(1_440) * 0.25,
        ),
    }


def quantities(_: Path) -> list[Quantity]:
    return [
        Quantity("temperature", 25.0, "degC"),
        Quantity("temperature", 310.0, "K"),
        Quantity("pH", 7.4, "pH"),
        Quantity("dose", 3.0, "dimensionless"),
    ]


def bad_quantities(_: Path) -> dict[str, Quantity]:
    return {
        r"the pH is nan, not a finite number.*Leave the cell empty": Quantity("pH", np.nan, "pH"),
        r"the pH is inf": Quantity("pH", np.inf, "pH"),
        r"'kg' cannot be converted.*\[temperature\]": Quantity("temperature", 3.0, "kg"),
        r"no quantities named 'temprature'.*Did you mean 'temp": Quantity("temprature", 3.0, "K"),
        r"'florps' is not a unit": Quantity("temperature", 3.0, "florps"),
    }


def rock_salt() -> Crystal:
    return Crystal(
        lattice=np.array([[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]]),
        species=("Na", "Cl"),
        positions=np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]),
        occupancies=np.ones(2),
    )


def materials(folder: Path) -> list[str | Path | Crystal]:
    salt = rock_salt()
    solution = replace(
        salt,
        species=("Na", "K", "Cl"),
        positions=np.array([[0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [0.6, 0.5, 0.5]]),
        occupancies=np.array([0.9, 0.1, 1.0]),
    )
    path = folder / "quartz.cif"
    path.write_text(QUARTZ)
    return ["NaCl", "Fe4O6", "Li1.2Mn0.54Ni0.13Co0.13O2", "SO4^2-", "D2O", salt, solution, path]


QUARTZ = """data_quartz
_cell_length_a 4.913
_cell_length_b 4.913
_cell_length_c 5.405
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 32 2 1'
_symmetry_Int_Tables_number 154
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si1 Si 0.4697 0.0 0.6667
O1 O 0.4133 0.2672 0.7855
"""


def bad_materials(folder: Path) -> dict[str, str | Path | Crystal]:
    salt = rock_salt()
    (folder / "notes.cif").write_text("these are only notes, no crystal")
    return {
        r"the formula is empty.*fill it in": " ",
        r"no element 'Xq' in 'Xq2O3'.*Did you mean 'Xe'": "Xq2O3",
        r"amount 'x' in 'La2-xSrxCuO4' has no value": "La2-xSrxCuO4",
        r"the file holds no crystal.*Export it again as CIF": folder / "notes.cif",
        r"'gone.cif' cannot be read \(No such file": folder / "gone.cif",
        r"no element 'Zz'": replace(salt, species=("Zz", "Cl")),
        r"coordinate that is no number": replace(salt, positions=np.full((2, 3), np.nan)),
        r"occupancy outside of 0 to 1": replace(salt, occupancies=np.array([1.5, 1.0])),
        r"has 0 cubic angstrom per atom": replace(salt, lattice=np.zeros((3, 3))),
        r"has 0 atoms, not 1 to 10,000": Crystal(salt.lattice, (), np.zeros((0, 3)), np.zeros(0)),
    }


ENTRIES = {
    "climate": Entry(climates, bad_climates),
    "image": Entry(images, bad_images),
    "material": Entry(materials, bad_materials),
    "molecule": Entry(molecules, bad_molecules),
    "nucleotide": Entry(nucleotides, bad_nucleotides),
    "protein": Entry(proteins, bad_proteins),
    "quantity": Entry(quantities, bad_quantities),
    "text": Entry(texts, bad_texts),
}


@dataclass(frozen=True)
class Case:
    """One modality fitted to its examples."""

    modality: Modality[Any]
    examples: list[Any]
    bad: dict[str, Any]


@pytest.fixture(scope="module", params=sorted(ENTRIES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    entry, modality = ENTRIES[request.param], MODALITIES[request.param]()
    examples = entry.examples(folder)
    modality.fit([modality.check(value) for value in examples])
    return Case(modality, examples, entry.bad(folder))


def same(first: Any, second: Any) -> bool:
    if is_dataclass(first) and not isinstance(first, type):
        names = [one.name for one in fields(first)]
        return type(first) is type(second) and all(
            same(getattr(first, name), getattr(second, name)) for name in names
        )
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    return bool(first == second)


def test_every_registered_modality_has_an_entry() -> None:
    assert set(ENTRIES) == set(MODALITIES)


def test_the_registered_name_is_the_modality_name() -> None:
    assert all(modality.name == name for name, modality in MODALITIES.items())


def test_tokens_have_the_declared_widths_and_types(case: Case) -> None:
    for value in case.examples:
        tokens = case.modality.tokenize(case.modality.check(value))
        n_tokens = len(tokens)
        assert n_tokens >= 1
        assert tokens.ids.shape == (n_tokens, case.modality.n_ids)
        assert tokens.values.shape == (n_tokens, case.modality.n_values)
        assert tokens.positions.shape == (n_tokens, 3)
        assert (tokens.ids.shape[1], tokens.values.shape[1]) == (
            type(case.modality).n_ids,
            type(case.modality).n_values,
        )
        assert tokens.ids.dtype == np.int64
        assert tokens.values.dtype == tokens.positions.dtype == np.float32


def test_tokens_are_finite_and_ids_not_negative(case: Case) -> None:
    for value in case.examples:
        tokens = case.modality.tokenize(case.modality.check(value))
        assert np.isfinite(tokens.positions).all()
        assert np.isfinite(tokens.values).all()
        assert (tokens.ids >= 0).all()


def test_a_vocabulary_bounds_its_ids_and_needs_at_least_one(case: Case) -> None:
    largest = max(
        int(case.modality.tokenize(case.modality.check(value)).ids.max(initial=0))
        for value in case.examples
    )
    if case.modality.vocabulary_size:
        assert largest < case.modality.vocabulary_size
    else:
        assert case.modality.n_values > 0


def test_check_is_idempotent(case: Case) -> None:
    for value in case.examples:
        once = case.modality.check(value)
        assert same(case.modality.check(once), once)


def test_tokenizing_is_deterministic(case: Case) -> None:
    for value in case.examples:
        checked = case.modality.check(value)
        assert same(case.modality.tokenize(checked), case.modality.tokenize(checked))


def test_tokenizing_leaves_the_value_as_it_was(case: Case) -> None:
    for value in case.examples:
        before = value.copy() if isinstance(value, np.ndarray) else value
        case.modality.tokenize(case.modality.check(value))
        assert same(value, before)


def test_the_embedder_gives_one_finite_float32_vector_per_token_with_gradients(case: Case) -> None:
    torch.manual_seed(0)
    embedder = case.modality.embedder(24)
    for value in case.examples:
        tokens = case.modality.tokenize(case.modality.check(value))
        embedded = embedder(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.values))
        assert embedded.shape == (len(tokens), 24)
        assert embedded.dtype == torch.float32
        assert embedded.isfinite().all()
        embedded.square().sum().backward()
    gradients = [parameter.grad for parameter in embedder.parameters()]
    assert gradients
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_a_fresh_embedder_gives_values_of_about_unit_size(case: Case) -> None:
    torch.manual_seed(0)
    embedder = case.modality.embedder(256)
    tokens = [case.modality.tokenize(case.modality.check(value)) for value in case.examples]
    with torch.no_grad():
        sizes = [
            embedder(torch.from_numpy(one.ids), torch.from_numpy(one.values)).square().mean()
            for one in tokens
        ]
    # A factor of four either way is what normalised attention and feed-forward blocks even out.
    assert 0.25 < float(torch.stack(sizes).mean().sqrt()) < 4


def test_the_embedder_of_no_tokens_gives_no_vectors(case: Case) -> None:
    ids = torch.zeros(0, case.modality.n_ids, dtype=torch.long)
    values = torch.zeros(0, case.modality.n_values)
    assert case.modality.embedder(24)(ids, values).shape == (0, 24)


def test_different_values_have_different_tokens(case: Case) -> None:
    checked = [case.modality.check(value) for value in case.examples]
    for i, first in enumerate(checked):
        for second in checked[:i]:
            if not same(first, second):
                assert not same(case.modality.tokenize(first), case.modality.tokenize(second))


def test_the_state_comes_back_from_json_with_the_same_tokens(case: Case) -> None:
    stored = json.loads(json.dumps(case.modality.state(), allow_nan=False))
    restored = MODALITIES[case.modality.name]()
    restored.load_state(stored)
    assert restored.state() == case.modality.state()
    for value in case.examples:
        assert same(
            restored.tokenize(restored.check(value)),
            case.modality.tokenize(case.modality.check(value)),
        )


def tokens_of(case: Case) -> list[Tokens]:
    return [case.modality.tokenize(case.modality.check(value)) for value in case.examples]


def test_hiding_blanks_the_chosen_tokens_and_leaves_the_others(case: Case) -> None:
    for tokens in tokens_of(case):
        chosen = np.arange(len(tokens)) % 2 == 0
        before = replace(tokens, ids=tokens.ids.copy(), values=tokens.values.copy())
        hidden = case.modality.hide(tokens, chosen)
        assert same(tokens, before)
        assert hidden.ids.dtype == tokens.ids.dtype
        assert hidden.values.dtype == tokens.values.dtype
        np.testing.assert_array_equal(hidden.positions, tokens.positions)
        np.testing.assert_array_equal(hidden.ids[~chosen], tokens.ids[~chosen])
        np.testing.assert_array_equal(hidden.values[~chosen], tokens.values[~chosen])
        nothing = case.modality.hide(tokens, np.zeros(len(tokens), dtype=bool))
        assert same(nothing, tokens)


def test_a_hidden_token_does_not_tell_the_answer(case: Case) -> None:
    for tokens in tokens_of(case):
        everything = np.ones(len(tokens), dtype=bool)
        hidden = case.modality.hide(tokens, everything)
        if case.modality.vocabulary_size:
            assert (hidden.ids == hidden.ids[0, 0]).all()
            assert hidden.ids[0, 0] < case.modality.n_specials
        else:
            blank, _ = case.modality.answers(hidden)
            assert not blank.any()


def test_special_ids_come_first_and_frame_the_content(case: Case) -> None:
    n_specials = case.modality.n_specials
    assert (n_specials > 0) == (case.modality.vocabulary_size > 0)
    for tokens in tokens_of(case):
        if n_specials:
            is_special = tokens.ids[:, 0] < n_specials
            assert is_special[[0, -1]].all()
            assert not is_special[1:-1].any()


def test_answers_are_finite_with_weights_that_are_not_negative(case: Case) -> None:
    for tokens in tokens_of(case):
        answers, weights = case.modality.answers(tokens)
        assert answers.shape == weights.shape
        assert np.isfinite(answers).all()
        assert (weights >= 0).all()
        assert len(tokens) == len(answers)
        if case.modality.n_values:
            assert weights.any()
            assert not answers[weights == 0].any()


def test_a_crop_is_a_part_of_at_most_the_wished_length(case: Case) -> None:
    for tokens in tokens_of(case):
        for most in (1, 2, 3, 7, len(tokens)):
            part = case.modality.crop(tokens, most, np.random.default_rng(most))
            again = case.modality.crop(tokens, most, np.random.default_rng(most))
            assert same(part, again)
            assert 1 <= len(part) <= max(most, 1)
            rows = {one.tobytes() for one in np.hstack([tokens.ids, tokens.values])}
            assert {one.tobytes() for one in np.hstack([part.ids, part.values])} <= rows
            if most >= len(tokens):
                assert same(part, tokens)


def test_a_variation_is_fine_and_has_no_more_tokens(case: Case) -> None:
    for seed, value in enumerate(case.examples):
        checked = case.modality.check(value)
        before = case.modality.tokenize(checked)
        varied, again = (case.modality.vary(checked, np.random.default_rng(seed)) for _ in range(2))
        tokens = case.modality.tokenize(case.modality.check(varied))
        assert 1 <= len(tokens) <= len(before)
        assert np.isfinite(tokens.values).all()
        assert same(tokens, case.modality.tokenize(again))
        assert same(before, case.modality.tokenize(checked))


def test_bad_values_are_refused_with_what_is_wrong_and_how_to_mend_it(case: Case) -> None:
    assert case.bad
    for pattern, value in case.bad.items():
        with pytest.raises(InputError, match=rf"(?s){pattern}") as caught:
            case.modality.check(value)
        assert caught.value.fix[-1] in ".?", caught.value
        assert caught.value.fix[0].isupper(), caught.value
        assert not caught.value.what.endswith("."), caught.value
        assert len(str(caught.value)) < 700, caught.value


def test_settings_of_another_version_are_refused() -> None:
    for name in MODALITIES:
        with pytest.raises(InputError, match=f"settings of the {name} modality do not fit"):
            MODALITIES[name]().load_state({"config": {"colour": 1}})
