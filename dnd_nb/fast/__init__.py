"""Many adapters at once through the frozen base: optional, and equal to the plain path within rounding

The rooms are in nbs/fast/. Their public names can be imported from here; each room is loaded when a name of it is asked for.
This file is written by hand: nbdev makes an empty one where there is none, and leaves this one alone."""
from ..io.moved import moved

_rooms = { # `Lean` comes from the last room, for others add methods to it
    'dnd_nb.fast.packing':
        'block_size Pack buckets pack micro_batches',
    'dnd_nb.fast.lean':
        'why_not first_layer',
    'dnd_nb.fast.graphs':
        'ENGINES Graphed why_not_ragged default_engine engine_for forget_engines Lean',
}
__getattr__ = moved('dnd_nb.fast', _rooms)
__all__ = [n for ns in _rooms.values() for n in ns.split()]
