"""The controller's pages, over the same services as its API. None yet: see the registry's pages."""
