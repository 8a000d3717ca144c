"""Texts: sentences, languages, Markdown, repeats. Strings in, strings out; knows no turn."""
