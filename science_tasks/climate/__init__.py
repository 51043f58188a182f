"""Climate: the features that climate scientists compute from fields on a grid."""
