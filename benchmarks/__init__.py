"""Speed, as figures and as ratios to a plain loop measured in the same run: `make bench`."""
