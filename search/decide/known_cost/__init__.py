"""The sampler that knows what a candidate costs before it is trained."""
