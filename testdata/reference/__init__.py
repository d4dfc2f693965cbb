"""An independent implementation of pushring's placements and key, to make test vectors with."""
