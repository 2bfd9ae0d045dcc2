__version__ = "0.1.0"


def __getattr__(name):  # `from dnd_nb import generate`, without loading torch before it is asked for
    if name == 'generate':
        from dnd_nb.written import generate
        return generate
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
