"""The OCPI roaming gateway: one canonical model, one adapter per version, a router that decides, a rim that acts."""

__version__ = "0.1.0"
