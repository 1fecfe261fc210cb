"""What a LLASA model expects of its input: the prompt, the token layout and the tokenizer."""

DATE = "02 Oct 2025"  # for templates that date their prompts: a text must give the same tokens every day
