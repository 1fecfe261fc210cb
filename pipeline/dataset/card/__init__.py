"""The dataset card: front matter for the Hub, then a page for people."""
