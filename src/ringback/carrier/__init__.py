"""The mobile network behind the SIM API."""
