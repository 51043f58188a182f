"""Small measured data sets for trying kagaku; index.json lists them, a card explains each."""
