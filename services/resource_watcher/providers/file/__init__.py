"""File: a folder of YAML and JSON, watched. Saving a file is the API call."""

from services.resource_watcher.providers.file.watching import FileProvider

__all__ = ["FileProvider"]
