"""A tenant's knowledge: documents, cut into passages, found by their words."""
