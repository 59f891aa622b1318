"""DScribe's descriptors."""

from mercer.compat.dscribe.descriptors.soap import SOAP

__all__ = ["SOAP"]
