"""The Tiled server: connections, an embedded server for sites without one, access tags, creating and removing nodes."""
