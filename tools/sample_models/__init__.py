"""The parts of tools/train_sample_models.py: data, codec training, LLASA training, scores."""
