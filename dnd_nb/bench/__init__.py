"""Every claim of speed as a bar

The rooms are in nbs/bench/. Their public names can be imported from here; each room is loaded when a name of it is asked for.
This file is written by hand: nbdev makes an empty one where there is none, and leaves this one alone."""
from ..io.moved import moved

_rooms = { # `BARS` comes from the last room, for the others add bars to it
    'dnd_nb.bench.lab':
        'SHAPES TINY Bar bar timed peak_memory rel Sizes shape_spec random_base Lab write_work train_work '
        'attempt matmul_precision RandomEncoder SetClock fake_zoo',
    'dnd_nb.bench.adapters':
        'teachers_qv teachers_all apply_forward apply_backward',
    'dnd_nb.bench.generators':
        'generate_05b generate_7b generate_cpu recon_step sft_step',
    'dnd_nb.bench.examples':
        'shots read_examples decide_cpu decide_gpu help_cpu',
    'dnd_nb.bench.system':
        'evaluate_conditions decode_batched zoo_open zoo_pairs cache_lookups import_cpu demo_cpu '
        'teachers_worker two_gpus',
    'dnd_nb.bench.measures':
        'BENCH device_slug merge_bars measure pick_bars bench BARS',
}
__getattr__ = moved('dnd_nb.bench', _rooms)
__all__ = [n for ns in _rooms.values() for n in ns.split()]
