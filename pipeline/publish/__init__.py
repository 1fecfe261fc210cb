"""Out of the dataset's folder: its card, the formats that training code reads, and the Hugging Face Hub."""
