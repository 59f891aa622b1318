"""Other packages' interfaces over mercer's own descriptors and kernels, for scripts that move."""
