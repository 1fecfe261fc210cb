"""The anti-aliased SnakeBeta activation, three ways: plain PyTorch, C++ on a CPU, Triton on a GPU."""
