"""A zoo under load: `python tools/load.py --adapters 10000 --seconds 300 --tasks 1400 --every 20`.

First three processes read a zoo of so many adapters and one writes into it, for so long. What a reader sees must be whole.
Then teachers of so many tasks are collected, and the process is killed every so many seconds. The end must be that of an
unbroken run. Random two-layer models. The result and its sizes are in results/faults/load.json."""
import json, os, random, shutil, signal, sys, tempfile, time
from dataclasses import replace
from pathlib import Path
from faults import start, ended, sums
from fastcore.script import call_parse

def world(steps=8):
    "Base model, tokenizer, and how its teachers are trained"
    import torch
    from dnd_nb.adapter import LoraSpec
    from dnd_nb.model import tiny_base
    from dnd_nb.teacher import TeacherConfig
    torch.set_num_threads(1)
    model,tok = tiny_base(hidden=16)
    return model,tok,LoraSpec.from_model(model, rank=2, alpha=4),TeacherConfig(steps=steps, rows=2, max_len=64, keep=(1.,), at_once=16)

def named_tasks(n, prefix='t'):
    from dnd_nb.tasks.builtin import builtin_tasks
    some = builtin_tasks(n_train=8, n_test=2)
    return [replace(some[i%len(some)], name=f'{prefix}{i:05d}') for i in range(n)]

def collect(folder, tasks, save_every=.2, steps=8):
    from dnd_nb.collect import train_teachers
    model,tok,spec,cfg = world(steps)
    return train_teachers(model, tok, tasks, spec, folder, cfg, save_every=save_every, progress=False)

def large_zoo(folder, n, made=32):
    "A zoo of n adapters: some are trained, the others are the same files under other names"
    from dnd_nb.zoo import ZOO, Zoo
    collect(folder, named_tasks(made))
    man = ZOO.read(folder/'manifest.json')
    for i in range(made, n):
        e = man['entries'][i%made]
        to = folder/f't{i:05d}'
        shutil.copytree(folder/e['task'], to, copy_function=os.link)
        man['entries'].append(e | dict(task=to.name, folder=e['folder'].replace(e['task'], to.name, 1)))
        man['rows'][to.name] = man['rows'][e['task']]
    ZOO.write(folder/'manifest.json', man)
    return Zoo(folder)

def read(folder, until, seed, say):
    "Open the zoo again and again, and look at some adapters each time; what was seen"
    from dnd_nb.zoo import Zoo
    rng,seen,looked,opened = random.Random(seed),0,0,0
    while time.time()<until:
        z = Zoo(folder)
        assert len(z)>=seen, f'{len(z)} entries after {seen}'
        seen,opened = len(z),opened+1
        for i in [len(z)-1, *(rng.randrange(len(z)) for _ in range(20))]:
            a = z.adapters([i])
            assert a.flat().isfinite().all() and z.prompts(z.entries[i]['task'])
            looked += 1
    say.write_text(json.dumps(dict(opened=opened, looked=looked, last=seen)))

def write(folder, until, say):
    "Add a teacher again and again"
    n,tasks = 0,named_tasks(2000, 'new')
    while time.time()<until and n<len(tasks): collect(folder, tasks[n:n+1]); n += 1
    say.write_text(json.dumps(dict(written=n)))

def crowd(top, n, seconds, readers=3):
    "Readers and a writer at one zoo"
    folder = top/'zoo'
    large_zoo(folder, n)
    until,said = time.time()+seconds,[top/f'said{i}.json' for i in range(readers+1)]
    ps = [start(lambda i=i: read(folder, until, i, said[i]), top) for i in range(readers)]
    ps.append(start(lambda: write(folder, until, said[-1]), top))
    rs = [ended(*p, seconds+120) for p in ps]
    bad = [r.err[-500:] for r in rs if r.rc]
    got = [json.loads(s.read_text()) for s in said if s.exists()]
    from dnd_nb.zoo import Zoo
    z = Zoo(folder)
    res = dict(adapters=n, seconds=seconds, readers=readers, opened=sum(g.get('opened',0) for g in got), looked=sum(g.get('looked',0) for g in got),
        written=sum(g.get('written',0) for g in got), entries=len(z), damaged=len([b for b in z.verify() if b]), failed=bad)
    return res | dict(right=not bad and res['entries']==n+res['written'] and not res['damaged'])

def broken(top, n, every, steps):
    "A collect that is killed every so many seconds, against one that is not"
    tasks,kills,t0 = named_tasks(n),0,time.time()
    start_whole = start(lambda: collect(top/'whole', tasks, 1e9, steps), top)
    whole = ended(*start_whole, 3600)
    if whole.rc: raise SystemExit(whole.err[-1000:])
    alone = time.time()-t0
    while True:
        p = start(lambda: collect(top/'broken', tasks, steps=steps), top)
        r = ended(*p, every)
        if not r.hung: break
        kills += 1
    if r.rc: raise SystemExit(r.err[-1000:])
    a,b = (sums(top/f) for f in ('whole','broken'))
    a,b = ({k:v for k,v in s.items() if k.endswith('.safetensors')} for s in (a,b))
    return dict(tasks=n, steps=steps, every=every, kills=kills, seconds_unbroken=round(alone), same_files=sum(a[k]==b.get(k) for k in a), files=len(a), right=a==b)

@call_parse
def main(
    adapters:int=10000, # in the zoo that is read
    seconds:float=300., # of reading and writing
    tasks:int=1400, # to collect
    steps:int=64, # of each teacher
    every:float=20., # seconds between kills
    out:str='', # JSON to write
):
    "Readers and a writer at one zoo, then a collect that is killed again and again; exit 1 unless both end right"
    import torch, transformers, peft # once, for all forks
    import dnd_nb.collect, dnd_nb.model, dnd_nb.tasks.builtin
    from dnd_nb.crew import this_commit, versions
    top = Path(tempfile.mkdtemp(prefix='load-'))
    try: res = dict(crowd=crowd(top, adapters, seconds), broken=broken(top, tasks, every, steps), commit=this_commit(), versions=versions('peft'))
    finally: shutil.rmtree(top, ignore_errors=True)
    print(json.dumps(res, indent=1))
    if out: Path(out).write_text(json.dumps(res, indent=1)+'\n', encoding='utf-8')
    sys.exit(not (res['crowd']['right'] and res['broken']['right']))
