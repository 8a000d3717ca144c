"""Admission: tenants' limits, overload, delays for wrong keys, and connections."""
