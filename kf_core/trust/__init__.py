"""How far a kernel and its image are to be trusted: the power spectrum, the noise, the choice, the confidence."""
