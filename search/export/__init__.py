"""A trained network as a file that others load, with its model card."""
