"""Score files in the BIG-bench layout: a fast reader, a careful reader, and an independent count of their numbers."""
