"""Build data/elements.tsv from the package mendeleev, which gathers element data with its sources.

Run it as ``python scripts/build_element_table.py`` where mendeleev 1.3.0 and chemicals 1.5.2 are
installed (neither is needed to use kagaku). Numbers are copied as they are stored; a cell is empty
where the source has none. The script prints where the package chemicals, which drew on other
compilations, disagrees. The card beside the table is written by hand.
"""

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

TABLE = Path(__file__).resolve().parents[1] / "data" / "elements.tsv"
VERSIONS = {"mendeleev": "1.3.0", "chemicals": "1.5.2"}

COPIED = {
    "atomic_number": "atomic_number",
    "symbol": "symbol",
    "name": "name",
    "period": "period",
    "group": "group_id",
    "block": "block",
    "mendeleev_number": "mendeleev_number",
    "pettifor_number": "pettifor_number",
    "atomic_mass": "atomic_weight",
    "electronegativity": "en_pauling",
    "electronegativity_allen": "en_allen",
    "covalent_radius": "covalent_radius_cordero",
    "vdw_radius": "vdw_radius_alvarez",
    "electron_affinity": "electron_affinity",
    "polarizability": "dipole_polarizability",
    "density": "density",
    "specific_heat": "specific_heat_capacity",
    "thermal_conductivity": "thermal_conductivity",
    "fusion_heat": "fusion_heat",
    "miedema_volume": "miedema_molar_volume",
    "miedema_electronegativity": "en_miedema",
}
"""Our column and mendeleev's, for what is copied as it stands."""

TOLERANCE = 0.02
"""Relative difference from which the second compilation counts as another value."""


def main() -> None:
    """Write the table and tell what another compilation has differently."""
    for package, expected in VERSIONS.items():
        if version(package) != expected:
            sys.exit(f"{package} {expected} is needed, but {version(package)} is installed")
    table = element_table()
    text = table.to_csv(sep="\t", index=False, lineterminator="\n", float_format=plain)
    TABLE.write_text(text, encoding="utf-8")
    print(f"{len(table)} elements, {table.shape[1]} columns, {len(text) / 1000:.0f} kB")
    for line in differences(table):
        print(line)


def plain(number: Any) -> str:
    """Return a number in the fewest digits that say the same, whole ones without a point."""
    return f"{number:.10g}"


def element_table() -> pd.DataFrame:
    """Return one row per element, by atomic number."""
    from mendeleev.fetch import fetch_table

    stored = fetch_table("elements").sort_values("atomic_number").reset_index(drop=True)
    table = pd.DataFrame({ours: stored[theirs] for ours, theirs in COPIED.items()})
    # The f block has no group of its own; it stands beneath group 3.
    table["group"] = table["group"].fillna(3).astype(int)
    energies = fetch_table("ionizationenergies")
    neutral = energies[energies["ion_charge"] == 0].set_index("atomic_number")["ionization_energy"]
    table["ionization_energy"] = table["atomic_number"].map(neutral)
    phases = fetch_table("phasetransitions").sort_values("id")
    table["melting_point"] = table["atomic_number"].map(melting_points(phases))
    table["boiling_point"] = table["atomic_number"].map(
        phases[phases["boiling_point"].notna()].groupby("atomic_number")["boiling_point"].last()
    )
    # Below zero stand energies of ions that are not bound, which are no affinities.
    table["electron_affinity"] = table["electron_affinity"].where(table["electron_affinity"] > 0)
    shells = stored["electronic_configuration"].map(valence_electrons)
    for place, shell in enumerate("spdf"):
        table[f"{shell}_valence"] = [counts[place] for counts in shells]
    states = fetch_table("oxidationstates")
    main_states = states[(states["category"] == "main") & (states["oxidation_state"] != 0)]
    told = main_states.groupby("atomic_number")["oxidation_state"].apply(
        lambda one: " ".join(f"{state:+d}" for state in sorted(one))
    )
    table["oxidation_states"] = table["atomic_number"].map(told).fillna("")
    return table


def melting_points(phases: pd.DataFrame) -> pd.Series:
    """Return the melting point by atomic number, K: of white P and Sn, grey As and so on.

    Where an element has several forms, transitions between them and forms that sublime are passed
    over; carbon, which sublimes, has its triple point.
    """
    found: dict[int, float] = {}
    for number, rows in phases.groupby("atomic_number"):
        melting = rows[rows["melting_point"].notna() & rows["is_transition"].isna()]
        whole = melting[melting["is_sublimation_point"].isna()]
        if len(whole):
            found[int(str(number))] = float(whole["melting_point"].iloc[0])
        elif len(melting):
            found[int(str(number))] = float(melting["melting_point"].iloc[0])
        elif rows["triple_point_temperature"].notna().any():
            found[int(str(number))] = float(rows["triple_point_temperature"].dropna().iloc[0])
    return pd.Series(found)


def valence_electrons(configuration: str) -> list[int]:
    """Return the electrons in s, p, d and f shells outside the noble-gas core."""
    counts = dict.fromkeys("spdf", 0)
    for shell, electrons in re.findall(r"\d([spdf])(\d*)", configuration):
        counts[shell] += int(electrons or 1)
    return list(counts.values())


def differences(table: pd.DataFrame) -> list[str]:
    """Return one line per value that the package chemicals has otherwise."""
    import chemicals
    from chemicals import periodic_table

    lines = []
    for row in table.to_dict("records"):
        one: Any = getattr(periodic_table, str(row["symbol"]))
        others = {
            "atomic_mass": one.MW,
            "electronegativity": one.elneg,
            "melting_point": chemicals.Tm(one.CAS_standard or one.CAS),
        }
        for name, other in others.items():
            ours = float(row[name])
            if other is not None and abs(ours - other) > TOLERANCE * abs(other):
                lines.append(f"{row['symbol']} {name}: {ours:g} here, {other:g} in chemicals")
    return lines


if __name__ == "__main__":
    main()
