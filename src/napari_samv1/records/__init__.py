"""Frozen records that several rooms share: numpy only."""
