__version__ = "0.1.0"


_lazy = dict(generate='dnd_nb.written', Generator='dnd_nb.share', Adapters='dnd_nb.share')


def __getattr__(name):  # `from dnd_nb import generate`, without loading torch before it is asked for
    if name in _lazy:
        from importlib import import_module
        return getattr(import_module(_lazy[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
