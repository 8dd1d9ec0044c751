"""Git as a source: clones and bare repositories on this machine, bundles and servers."""
