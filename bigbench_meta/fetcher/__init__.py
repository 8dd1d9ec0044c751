"""Sources: addresses, archives, folders and git repositories, each read without trusting it, to a `Checkout`."""

from bigbench_meta.fetcher.checkout import Checkout
from bigbench_meta.fetcher.dispatch import fetch

__all__ = ["Checkout", "fetch"]
