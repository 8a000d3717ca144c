"""Text processing: sentences, languages, Markdown, repeats. Strings in, strings out; it knows no turn."""
