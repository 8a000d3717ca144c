"""A light stand-in for LLM servers: OpenAI Chat Completions with exact pacing and faults on demand."""
