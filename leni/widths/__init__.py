"""Which channels of a network must go together, the network at other widths, and what it costs there."""
