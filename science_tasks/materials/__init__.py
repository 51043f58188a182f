"""Materials: statistics over the elements of a composition, and what is seen in a crystal."""
