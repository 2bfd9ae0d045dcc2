"""Train on some tasks, be judged on others, by a protocol that can be checked

The rooms are in nbs/study/. Their public names can be imported from here; each room is loaded when a name of it is asked for.
This file is written by hand: nbdev makes an empty one where there is none, and leaves this one alone."""
from ..io.moved import moved

_rooms = { # `Study` comes from the last room, for each room adds methods to it
    'dnd_nb.study.folds':
        'SPLITS Fold family_folds held_out_fold leave_one_out tiny_tasks refuse_leaks clean prepare '
        'plan_of planned',
    'dnd_nb.study.recipes':
        'MINILM AXES RECIPES Recipe recipe StudyConfig configure',
    'dnd_nb.study.work':
        'STARTS RATES TINY put_table get_table alone OutOfTime device_name tiny_reader linked_zoo '
        'total_rows',
    'dnd_nb.study.rivals':
        'SOUPS mixture averaged',
    'dnd_nb.study.generated':
        'MixedPairs MixedTrainer',
    'dnd_nb.study.panel':
        'SOURCES gibberish shuffled_batches with_shots',
    'dnd_nb.study.tuning':
        'SteadyConfig fine_tuned best_rate',
    'dnd_nb.study.report':
        'FORMS RIVALS PAIRS Boot task_table nested_tasks answer_form specimen bars',
    'dnd_nb.study.card':
        'changed rebuild model_card',
    'dnd_nb.study.compare':
        'comparison write_comparison',
    'dnd_nb.study.plots':
        'headline plot_sources task_frame plot_gap plot_strength plot_tuning plot_axes from_default',
    'dnd_nb.study.jobs':
        'deal one_job',
    'dnd_nb.study.command':
        'study_folds leave_one_out_folds dnd_study main Study',
    'dnd_nb.strength':
        'Standardised standardise centres Curve calibrate follow ZeroShot',
}
__getattr__ = moved('dnd_nb.study', _rooms)
__all__ = [n for m,ns in _rooms.items() if m.startswith('dnd_nb.study.') for n in ns.split()]
