"""What others reached on MoleculeACE: RMSE on all test compounds, and on those in cliffs."""

# https://github.com/molML/MoleculeACE, MoleculeACE/Data/results/MoleculeACE_results.csv at commit
# 7e6de0bd; the article is van Tilborg et al. 2022, https://doi.org/10.1021/acs.jcim.2c01073.
MODELS = (
    "SVM on ECFP",
    "gradient boosting on ECFP",
    "random forest on ECFP",
    "LSTM on SMILES, pretrained",
    "message-passing network on graphs",
)
"""The three best methods there, the best deep one, and the best known network on graphs."""

ROWS = {"SVM": "ECFP", "GBM": "ECFP", "RF": "ECFP", "LSTM": "SMILES", "MPNN": "GRAPH"}
"""What their rows are called in that file: algorithm and descriptor, in the order of `MODELS`."""

# fmt: off
SCORES: dict[str, tuple[tuple[float, float], ...]] = {
    "CHEMBL204_Ki": ((.723, .859), (.753, .932), (.763, .899), (.822, .930), (1.458, 1.581)),
    "CHEMBL214_Ki": ((.635, .724), (.678, .761), (.700, .801), (.723, .851), (1.183, 1.243)),
    "CHEMBL218_EC50": ((.719, .761), (.712, .746), (.706, .760), (.748, .818), (1.053, 1.062)),
    "CHEMBL228_Ki": ((.662, .676), (.686, .723), (.709, .773), (.779, .884), (1.000, 1.015)),
    "CHEMBL231_Ki": ((.750, .932), (.774, .955), (.822, .907), (.809, 1.070), (1.305, 1.223)),
    "CHEMBL234_Ki": ((.622, .632), (.629, .649), (.660, .683), (.738, .797), (.959, .922)),
    "CHEMBL235_EC50": ((.640, .774), (.663, .806), (.639, .764), (.727, .847), (1.058, 1.194)),
    "CHEMBL237_EC50": ((.720, .782), (.803, .880), (.762, .793), (.783, .903), (1.402, 1.334)),
    "CHEMBL237_Ki": ((.677, .735), (.713, .789), (.729, .800), (.774, .862), (1.053, 1.109)),
    "CHEMBL239_EC50": ((.678, .819), (.683, .821), (.689, .825), (.765, .905), (1.288, 1.482)),
    "CHEMBL244_Ki": ((.715, .797), (.736, .821), (.741, .823), (.800, .913), (1.660, 1.557)),
    "CHEMBL264_Ki": ((.615, .674), (.649, .722), (.659, .742), (.665, .767), (1.082, 1.012)),
    "CHEMBL1862_Ki": ((.774, .674), (.798, .747), (.805, .686), (.761, .793), (.948, .888)),
    "CHEMBL1871_Ki": ((.665, .873), (.678, .922), (.660, .906), (.662, .850), (1.058, 1.154)),
    "CHEMBL2047_EC50": ((.614, .687), (.602, .640), (.628, .665), (.696, .790), (1.030, .951)),
    "CHEMBL2835_Ki": ((.420, .743), (.405, .789), (.388, .802), (.431, .840), (.668, 1.067)),
    "CHEMBL2971_Ki": ((.605, .659), (.616, .667), (.630, .643), (.689, .886), (.973, .945)),
    "CHEMBL3979_EC50": ((.630, .674), (.660, .722), (.650, .708), (.740, .790), (1.183, 1.145)),
    "CHEMBL4203_Ki": ((.880, 1.001), (.919, 1.075), (.882, 1.081), (.907, 1.318), (1.056, 1.149)),
    "CHEMBL4616_EC50": ((.635, .692), (.686, .768), (.682, .770), (.739, .831), (.935, .860)),
}
# fmt: on
"""By target, (RMSE, RMSE on cliff compounds) of each of `MODELS`, both in -log10(mol/L)."""
