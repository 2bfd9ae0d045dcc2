"""The ablation on BIG-bench tasks of one fold: every configuration of `standard_axes` × seeds, at equal steps, as tidy CSV.

    python experiments/ablations.py --data ../shared/data/bigbench --work runs/ablations --out results --jobs 4

Resumable run by run: stops by itself before `budget` seconds are over; call it again to go on. With everything done it writes
ablations.csv (means over tasks), ablations_tasks.csv.gz (a row a task) and ablations_differ.csv into `out`."""
import shutil, sys, time
from pathlib import Path
import torch
from fastcore.script import call_parse
from dnd_nb.ablations import Config, World, one_at_a_time, loss_mixes, run_grid, runs_differ, standard_axes
from dnd_nb.crew import side_by_side
from dnd_nb.adapter import LoraSpec
from dnd_nb.io.peft import load_peft, save_peft
from dnd_nb.delta import GENERIC
from dnd_nb.encoder import PromptCache, make_encoder
from dnd_nb.model import load_base
from dnd_nb.task import read_tasks
from dnd_nb.tasks.split import fold_split, val_split
from dnd_nb.teacher import TeacherConfig
from dnd_nb.zoo import Zoo
from dnd_nb.collect import train_teachers
from dnd_nb.run import TrainConfig
from dnd_nb.teacher import train_multitask

@call_parse
def main(
    data:str='../shared/data/bigbench', # JSONL tasks with families.json
    work:str='runs/ablations', # zoo, runs and embeddings
    out:str='results', # folder for the tables
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct', # base model
    encoder:str='sentence-transformers/all-MiniLM-L6-v2', # of all configurations but those that ask for another
    hidden_states:str='sentence-transformers/all-MiniLM-L6-v2 + base:18', # the other encoder
    fold:int=4, # held out
    n_train:int=60, # training tasks
    n_held:int=16, # held-out tasks
    steps:int=300, # of every configuration
    seeds:int=3,
    teacher_steps:int=100, # of every teacher
    hidden:int=256, # width of the generator
    rows:int=24, # test rows a task
    conditions:int=3, # random prompt batches a task
    zoo:str='', # a zoo that has these tasks' teachers, with deltas on the generic probes; '': train them
    jobs:int=1, # processes that share the device: small models leave a GPU idle
    job:int=-1, # which of them this is
    budget:float=540., # seconds
    device:str='cuda',
    max_tokens:int=49152, # of a micro-batch
):
    "Ablation on BIG-bench"
    start,work,out = time.time(),Path(work),Path(out)
    model,tok = load_base(base, device=device)
    sp = val_split(fold_split(list(read_tasks(data)), fold), share=.12, seed=0)
    groups = dict(seen=sp.train[:n_train], val=sp.val[:8], held_out=sp.held_out_far[:n_held])
    tasks,splits = [t for g in groups.values() for t in g],{t.name:s for s,g in groups.items() for t in g}
    spec = LoraSpec.from_model(model, ['q_proj','v_proj'])
    store = Zoo(zoo) if zoo else train_teachers(model, tok, tasks, spec, work/'zoo', TeacherConfig(steps=teacher_steps, rows=8, lr=2e-3, at_once=77, max_tokens=max_tokens), probes=GENERIC, progress=False)
    store = store.only(splits)
    caches = {n: PromptCache(work/'embeddings', make_encoder(e, model, tok, device)) for n,e in dict(minilm=encoder, both=hidden_states).items()}
    for c in caches.values(): c.encode([p for t in tasks for p in t.prompts])
    last = dict(zip(store.tasks, store.last()))
    mean = store.adapters([last[t.name] for t in groups['seen']]).mean()
    refs = dict(base=lambda t: None, mean_teacher=lambda t: mean, teacher=lambda t: store.adapters([last[t.name]]))
    if not (work/'multitask').exists(): save_peft(train_multitask(model, tok, groups['seen'], spec, steps, 24, 2e-3, progress=False)[0], work/'multitask')
    multi = load_peft(work/'multitask', spec)
    refs |= dict(multitask=lambda t: multi)
    world = World(model, tok, store, tasks, splits, caches, multi, refs, k=16, conditions=conditions, rows=rows, max_tokens=12288)
    first = Config('base', TrainConfig(loss_mixes(steps)['warm']['stages'], dict(kind='MLPGenerator', hidden=hidden, noise=.3, cond_drop=.1), k=(8,32), val_every=max(1,steps//5)))
    axes = standard_axes(steps, ['both'], [n_train//4], vocab=len(caches['minilm'].encoder.model.tokenizer))
    axes['start']['multitask'] = dict(base='given')
    axes['generator'] = {'basis':dict(generator=dict(kind='BasisGenerator'))}
    for a in axes.values(): # the other kinds have no room for the MLP's arguments
        for c in a.values():
            if c.get('generator',{}).get('kind')=='SetGenerator': c['generator'] |= dict(hidden=64, noise=.3, cond_drop=.1)
    configs = one_at_a_time(first, axes)
    runs = [(c,seed) for seed in range(seeds) for c in configs]
    print(f'{len(configs)} configurations × {seeds} seeds, {time.time()-start:.0f} s to get ready', flush=True)
    if jobs>1 and job<0:
        world.reference(work/'grid')
        if device!='cpu': torch.cuda.empty_cache()
        left = f'{budget-(time.time()-start):.0f}'
        bad = side_by_side({f'job{i}':[*sys.argv, '--job', i, '--budget', left] for i in range(jobs)}, jobs, work/'jobs')
        if bad: raise SystemExit(f'{len(bad)} of {jobs} jobs failed ({bad}); call again to go on')
    took = 20.
    for c,seed in runs[max(job,0)::jobs if job>=0 else 1]:
        if time.time()-start+1.5*took>budget: print('out of time: call again to go on'); return
        t0 = time.time()
        world.run_one(c, seed, work/'grid')
        if (d := time.time()-t0)>1: took = max(took*.8, d); print(f'{c.name} seed {seed}: {d:.0f} s', flush=True)
    if job>=0: return
    if left := [1 for c,seed in runs if not (work/'grid'/c.name/f'seed{seed}'/'tasks.csv').exists()]: return print(f'{len(left)} of {len(runs)} runs are left: call again to go on')
    df = run_grid(world, configs, range(seeds), work/'grid', log=None)
    table,_,_ = runs_differ(world, work/'grid')
    out.mkdir(exist_ok=True)
    df.to_csv(out/'ablations_tasks.csv.gz', index=False, float_format='%.6g', compression=dict(method='gzip', mtime=0))
    table.to_csv(out/'ablations_differ.csv', index=False)
    shutil.copy(work/'grid'/'ablations.csv', out/'ablations.csv')
    print(df[df.metric=='nll'].pivot_table(index='config', columns=['source','split'], values='value').round(3).to_string())
