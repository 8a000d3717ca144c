"""A light stand-in for LLM servers in several dialects, with exact pacing and faults on demand."""
