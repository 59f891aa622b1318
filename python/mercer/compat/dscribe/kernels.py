"""DScribe kernels."""
