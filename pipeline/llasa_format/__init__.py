"""What a LLASA model expects of its input: the prompt, the token layout and the tokenizer."""
