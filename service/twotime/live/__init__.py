"""Scans that are still going on: followed frame by frame, their dynamics shown as they grow."""
