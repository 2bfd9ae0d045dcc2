"""How does the number of training tasks matter? Generators and multi-task LoRAs of 50, 150, 500 and all training tasks, at the same number of steps, judged on one fold's held-out families.
    python experiments/scaling.py results/scaling --bigbench DIR --many DIR [--fold fold0] [--only 150/generated_s1_d0] [--tiny]
A size is a study of its own in WORK/SIZE and goes on where it was cut. `--only` makes one piece, for several processes side by side. When all are there, scaling.csv is written: the gain over the multi-task LoRA of the same tasks, with intervals over families and seeds."""
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
import pandas as pd
from fastcore.script import call_parse
from dnd_nb.study.command import _world, study_folds
from dnd_nb.study.pieces import Study, held_in
from dnd_nb.study.report import Resampled, figures_of
from dnd_nb.study.settings import configure
from dnd_nb.study.work import by_turns

SIZES = (50,150,500,0) # 0: all
SOURCES = ('start','multitask','generated_prompts','generated_1','generated_4','generated_16','generated_16_tuned_5')

def smaller(fold, n): # with n training tasks, one of a family before two; the larger sets hold the smaller ones
    return replace(fold, name=f'{fold.name}_{n or "all"}', train=by_turns(fold.train, n or len(fold.train)))

def studies(fold, groups, work, settings, seeds, device, tiny):
    for n in SIZES:
        f = smaller(fold, n)
        yield n,Study(configure(settings, tiny), [f], Path(work)/str(n or 'all'), partial(_world, 'HuggingFaceTB/SmolLM2-135M-Instruct', device, tiny), seeds, groups)

def wanted(st): # of a study's pieces those that the curve needs, what others need first
    names = [*st.prepared(), *st.pieces()]
    return [n for k in ('ready','fixed','generated') for n in names if n.split('/')[1].startswith(k)]

def made(st, n): return (st.work/f'{n}.json').exists() if n in st.prepared() else st.piece_file(n).exists()

def gains(n, st): # rows of scaling.csv
    df,fam = st.gathered(),{t.name:t.family for f in st.folds for t in f.held}
    for (group,split),pairs in st.splits().items():
        rs = Resampled(figures_of(held_in(df, pairs)), fam)
        for s in SOURCES:
            if not (r := rs.row(s)): continue
            d = rs.difference(s, 'multitask') or {}
            yield dict(tasks=len(st.folds[0].train), families=len({t.family for t in st.folds[0].train}), size=n, group=group, source=s,
                nats=r['mean'], lo=r['lo'], hi=r['hi'], gain=-d['mean'] if d else None, gain_lo=-d['hi'] if d.get('hi') is not None else None,
                gain_hi=-d['lo'] if d.get('lo') is not None else None, held_out=r['n_tasks'], held_out_families=r['n_families'], seeds=len(st.seeds))

@call_parse
def main(out:str, bigbench:str='', many:str='', fold:str='fold0', work:str='runs/scaling', seeds:int=3, held:int=60, draws:int=2, only:str='', device:str='auto', minutes:float=0., n_tasks:int=0, tiny:int=0):
    t0 = time.time()
    folds,groups = study_folds([bigbench, many], [], n_tasks=n_tasks)
    chosen = next(f for f in folds if f.name==fold)
    settings = dict(held=held, draws=draws, steps=[5] if not tiny else [2])
    todo = dict(studies(chosen, groups, work, settings, range(seeds), device, bool(tiny)))
    for n,st in todo.items():
        for piece in wanted(st):
            if (only and f'{n or "all"}/{piece.split("/")[1]}'!=only) or made(st, piece): continue
            if minutes and time.time()-t0>60*minutes: return print(f'stopped after {minutes:g} minutes')
            t1 = time.time(); st.make(piece); st.give_back()
            print(f'{n or "all"}/{piece} {time.time()-t1:.0f} s', flush=True)
    if left := [f'{n}/{p}' for n,st in todo.items() for p in wanted(st) if not made(st, p)]: return print(len(left), 'pieces are left, the first:', left[0])
    Path(out).mkdir(parents=True, exist_ok=True)
    df = pd.DataFrame([r for n,st in todo.items() for r in gains(n, st)])
    df.to_csv(Path(out)/'scaling.csv', index=False, float_format='%.4f')
    print(df[df.source.isin(['generated_4','generated_16'])].to_string())
