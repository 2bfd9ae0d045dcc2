"""Train on some tasks, be judged on others, by a protocol that can be checked

The rooms are in nbs/study/. Their public names can be imported from here; each room is loaded when a name of it is asked for.
This file is written by hand: nbdev makes an empty one where there is none, and leaves this one alone."""
from ..io.moved import moved

_rooms = { # `Study` comes from the last room, for each room adds methods to it
    'dnd_nb.study.folds':
        'SPLITS Fold family_folds held_out_fold leave_one_out tiny_tasks refuse_leaks clean prepare '
        'plan_of planned',
    'dnd_nb.study.settings':
        'GAPS MAX_LEN POOL VAL StudyConfig TINY configure',
    'dnd_nb.study.judge':
        'TestRows test_rows SUMS sums Judge closed',
    'dnd_nb.study.tables':
        'put_table get_table',
    'dnd_nb.study.rivals':
        'STARTS alike',
    'dnd_nb.study.generated':
        'gibberish answers_moved without_answers',
    'dnd_nb.study.report':
        'METRICS figures_of Resampled holm rivals_at bars',
    'dnd_nb.study.pieces':
        'write_reports headline Study',
    'dnd_nb.study.command':
        'study_folds dnd_study free_gpu main',
    'dnd_nb.strength':
        'Standardised standardise centres Curve calibrate follow ZeroShot',
}
__getattr__ = moved('dnd_nb.study', _rooms)
__all__ = [n for m,ns in _rooms.items() if m.startswith('dnd_nb.study.') for n in ns.split()]
