"""The controller's templates, in the registry's frame."""

from __future__ import annotations

from mlreg.registry.web.rendering import pages_of

page = pages_of("mlreg.controller.web")
