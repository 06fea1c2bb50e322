"""What a receiver has seen already, so that nothing is done twice."""
