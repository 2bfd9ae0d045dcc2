"""Ways to train the default generator, at full scale: what they leave on training tasks' test rows against the tasks' own teachers, and what following them does on validation tasks. Held-out tasks are not looked at.

    python experiments/mixing.py --data ../shared/data/bigbench --work runs/mixing --out results/zero_shot_mixing_tries.csv

A row a way; goes on where it was cut, and several processes may share the folder, each with ways of its own (`--ways`)."""
from dataclasses import replace
from pathlib import Path
import pandas as pd, torch
from fastcore.script import call_parse
from filelock import FileLock
from dnd_nb.adapter import atomic_write
from dnd_nb.crew import own_device, this_commit
from dnd_nb.dataset import prompt_batches
from dnd_nb.evaluate import run_panel
from dnd_nb.model import load_base
from dnd_nb.strength import follow
from dnd_nb.study.command import Study, study_folds
from dnd_nb.study.recipes import StudyConfig, recipe
from dnd_nb.study.work import device_name
from tries import per_task

WAYS = {'equal, 1600 steps':dict(proportional=False, sft=1600), 'equal, 2000 steps':dict(proportional=False, sft=2000), '1600 steps':dict(sft=1600), '2000 steps':dict(sft=2000), '2000 steps, hidden 512':dict(sft=2000, hidden=512), '2000 steps, noise .15':dict(sft=2000, noise=.15),
    '2000 steps, hidden 512, noise .15':dict(sft=2000, hidden=512, noise=.15), '2000 steps, no condition dropped':dict(sft=2000, cond_drop=0.), '2000 steps, rate 5e-3':dict(sft=2000, lr=5e-3), '2000 steps, 32 pairs of 2 rows':dict(sft=2000, batch=32, rows=2)}

def judge(st, fold, seed, rec, n):
    "One way's row"
    z,(names,last) = st.zero_shot(fold, seed, rec),st.last(fold)
    nats = lambda tasks,sources: per_task(run_panel(st.model, st.tok, tasks, sources, n_rows=n, max_len=st.cfg.max_len, max_tokens=st.max_tokens))
    ask = lambda t,prompts: z.generate(prompt_batches(prompts, st.cfg.k, 3, f'{seed}/{t.name}'), 1.)
    seen = nats(fold.train, dict(generated=lambda t: ask(t, t.prompts), teacher=lambda t: last[[names.index(t.name)]]))
    val = nats(fold.val, {s:lambda t,s=s: follow(z.fallback, ask(t, st.val_prompts(t)), torch.full((3,), float(s))) for s in ('0','.25','1')}).mean()
    behind,rows = seen.generated-seen.teacher,pd.Series({t.name:len(t.train) for t in fold.train})
    small = (rows<rows.max())[behind.index]
    return dict(generated=seen.generated.mean(), teacher=seen.teacher.mean(), behind=behind.mean(), se=behind.sem(), behind_small=behind[small].mean(), behind_full=behind[~small].mean(), small=int(small.sum()), tasks=len(seen), val_corrected=val['0'], val_quarter=val['.25'], val_full=val['1'], val_tasks=len(fold.val))

@call_parse
def main(
    data:str='../shared/data/bigbench', # folder of tasks
    work:str='runs/mixing', # for teachers and generators
    out:str='results/zero_shot_mixing_tries.csv', # table to write
    fold:str='fold0', # whose training and validation tasks are looked at
    seed:int=2,
    ways:str='', # numbers of some ways, separated by commas; '': all
    rows:int=60, # test rows a task
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct',
    device:str='', # '': the GPU, if there is one
):
    "Ways to train the default generator"
    out = Path(out)
    st = Study(StudyConfig(), [f for f in study_folds(data, [], False, 0) if f.name==fold], work, lambda: load_base(base, device=device or own_device()), [seed])
    for i in [int(w) for w in ways.split(',') if w] or range(len(WAYS)):
        way,changes = list(WAYS.items())[i]
        if out.exists() and way in set(pd.read_csv(out).way): continue
        rec = replace(recipe(**changes), name=f'way{i}')
        row = dict(way=way, steps=rec.sft) | judge(st, st.folds[0], seed, rec, rows) | dict(device=device_name(st.device), commit=this_commit(), soup='of its own')
        with FileLock(Path(work)/'table.lock'):
            df = pd.DataFrame([*(pd.read_csv(out).to_dict('records') if out.exists() else []), row]).round(4)
            with atomic_write(out) as f: df.to_csv(f, index=False)
        print(df.to_string(), flush=True)
