"""YAML files that people write, read as pydantic models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from plumbline.errors import StopTheRun

_Model = TypeVar("_Model", bound=BaseModel)


class _Loader(yaml.CSafeLoader):
    """YAML in which a key that stands twice is a mistake, not a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, model: type[_Model], **extra: Any) -> _Model:
    """Return what the YAML file ``path`` says, with ``extra`` beside it, checked as ``model``.

    Raises StopTheRun that names the file, and each key that is wrong with what would be right.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
        return model.model_validate({**content, **extra})
    except FileNotFoundError as error:
        raise StopTheRun(f"{path} is missing") from error
    except (yaml.YAMLError, TypeError) as error:
        raise StopTheRun(f"{path} is not a YAML mapping: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc'])) or '(file)'}: {item['msg']}" for item in error.errors()]
        raise StopTheRun("\n".join([f"{path}:", *lines])) from error
