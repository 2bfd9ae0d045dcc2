"""Ways to train the default generator, at full scale: what they leave on training tasks' test rows against the tasks' own teachers, and what following them does on validation tasks. Held-out tasks are not looked at.

    python tools/mixing.py --data ../shared/data/bigbench --work runs/mixing --out results/zero_shot_mixing_tries.csv

A row a way, whole once it is written; goes on where it was cut, and several processes may share the folder, each with ways of its own (`--ways`)."""
from dataclasses import replace
from functools import partial
from pathlib import Path
import pandas as pd, torch
from fastcore.script import call_parse
from dnd_nb.dataset import prompt_batches
from dnd_nb.evaluate import run_panel
from dnd_nb.study import Study, _alone, _tiny_encoder, _world, configure, follow, recipe, study_folds

WAYS = {'equal, 1600 steps':dict(proportional=False), 'equal, 2000 steps':dict(proportional=False, sft=2000), '1600 steps':{}, '2000 steps':dict(sft=2000), '2000 steps, hidden 512':dict(sft=2000, hidden=512), '2000 steps, noise .15':dict(sft=2000, noise=.15),
    '2000 steps, hidden 512, noise .15':dict(sft=2000, hidden=512, noise=.15), '2000 steps, no condition dropped':dict(sft=2000, cond_drop=0.), '2000 steps, rate 5e-3':dict(sft=2000, lr=5e-3), '2000 steps, 32 pairs of 2 rows':dict(sft=2000, batch=32, rows=2)}

def nats(st, tasks, sources, n): # task × source: nats a token
    g = run_panel(st.model, st.tok, tasks, sources, n_rows=n, max_len=st.cfg.max_len, max_tokens=st.max_tokens).groupby(['task','source'])[['nll','tokens']].sum()
    return (g.nll/g.tokens).unstack()

def judge(st, fold, seed, rec, n):
    "One way's row"
    z,(names,last) = st.zero_shot(fold, seed, rec),st.last(fold)
    ask = lambda t,prompts,what: z.generate(prompt_batches(prompts, st.cfg.k, 3, f'{what}/{t.name}'), 1.)
    seen = nats(st, fold.train, dict(generated=lambda t: ask(t, t.prompts, 'seen'), teacher=lambda t: last[[names.index(t.name)]]), n)
    val = nats(st, fold.val, {str(s):lambda t,s=s: follow(z.fallback, ask(t, st.val_prompts(t), 'val'), torch.full((3,), s)) for s in (0.,.25,1.)}, n).mean()
    behind,rows = seen.generated-seen.teacher,pd.Series({t.name:len(t.train) for t in fold.train})
    small = (rows<rows.max())[behind.index]
    return dict(generated=seen.generated.mean(), teacher=seen.teacher.mean(), behind=behind.mean(), se=behind.sem(), behind_small=behind[small].mean(), behind_full=behind[~small].mean(), small=int(small.sum()), tasks=len(seen), val_corrected=val['0.0'], val_quarter=val['0.25'], val_full=val['1.0'], val_tasks=len(fold.val))

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
    device:str='auto',
    tiny:bool=False, # a random two-layer model: to try the plumbing
):
    "Ways to train the default generator"
    out,settings = Path(out),dict(rank=2, teacher=dict(steps=4, rows=2), multi_steps=4, full_rows=4096, val_rows=4, recipe=dict(encoder='tiny', hidden=16, recon=4, sft=4)) if tiny else {}
    st = Study(configure(settings), [f for f in study_folds(data, [], False, 0) if f.name==fold], work, partial(_world, base, device, tiny), [seed], None, _tiny_encoder() if tiny else None)
    for i in [int(w) for w in ways.split(',') if w] or range(len(WAYS)):
        way,changes = list(WAYS.items())[i]
        if out.exists() and way in set(pd.read_csv(out).way): continue
        own = settings.get('recipe', {}) | (dict() if tiny else changes)
        row = dict(way=way, steps=changes.get('sft', recipe().sft)) | judge(st, st.folds[0], seed, replace(recipe(**own), name=f'way{i}'), rows)
        with _alone(out):
            df = pd.DataFrame([*(pd.read_csv(out).to_dict('records') if out.exists() else []), row])
            df.round(4).to_csv(out, index=False)
        print(df.round(3).to_string(), flush=True)
