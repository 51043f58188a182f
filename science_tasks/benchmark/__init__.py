"""Scientific questions with official splits, and what every method answers to them."""
