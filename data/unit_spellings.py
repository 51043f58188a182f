"""How laboratories and climate files spell units, where pint would stumble."""

DIMENSIONLESS = "dimensionless"
"""The unit of a number that has none."""

# Spellings that pint lacks or takes for something else (to pint, "a.u." is an atomic mass unit
# times a year, and "mol%" an amount of substance).
SPELLINGS = {
    "": DIMENSIONLESS,
    "1": DIMENSIONLESS,
    "-": DIMENSIONLESS,
    "none": DIMENSIONLESS,
    "unitless": DIMENSIONLESS,
    "a.u.": DIMENSIONLESS,
    "arb. units": DIMENSIONLESS,
    "RFU": DIMENSIONLESS,
    "fraction": DIMENSIONLESS,
    "ratio": DIMENSIONLESS,
    "equiv": DIMENSIONLESS,
    "equiv.": DIMENSIONLESS,
    "eq.": DIMENSIONLESS,
    "%": "percent",
    "wt%": "percent",
    "wt.%": "percent",
    "mol%": "percent",
    "mol %": "percent",
    "vol%": "percent",
    "at%": "percent",
    "at.%": "percent",
    "% v/v": "percent",
    "% w/v": "percent",
    "% w/w": "percent",
    "degrees_north": "degree",
    "degrees_south": "degree",
    "degrees_east": "degree",
    "degrees_west": "degree",
    "degree_C": "degC",
    "degrees_C": "degC",
    "deg C": "degC",
    "deg_C": "degC",
    "Celsius": "degC",
    "° C": "degC",
    "℃": "degC",
    "° F": "degF",
    "gpm": "meter",  # geopotential metre of the CF conventions, not gallons per minute
}
COMMON = (
    "degC", "degF", "K", "pH", "percent", "dimensionless", "M", "mM", "uM", "nM", "pM", "mol",
    "mmol", "umol", "mol/L", "mmol/L", "umol/L", "mol/mL", "mol/m**3", "g", "mg", "ug", "ng", "kg",
    "g/L", "mg/L", "mg/mL", "ug/mL", "L", "mL", "uL", "m", "cm", "mm", "um", "nm", "angstrom", "s",
    "ms", "min", "h", "hour", "day", "month", "year", "Pa", "kPa", "MPa", "GPa", "hPa", "bar",
    "mbar", "atm", "psi", "Torr", "J", "kJ", "kJ/mol", "kcal/mol", "J/mol", "eV", "meV", "V", "mV",
    "A", "mA", "W", "Hz", "kHz", "MHz", "GHz", "rpm", "Da", "kDa", "g/mol", "1/s", "1/min", "1/h",
    "m/s", "mm/day", "ppm", "S/m", "S/cm", "cm**2", "m**2", "g/cm**3", "W/m/K", "mPa*s",
    "log10(mol/L)", "ln(1/s)", "-log10(mol/L)",
)  # fmt: skip
"""Units that a misspelt one is compared with first."""
