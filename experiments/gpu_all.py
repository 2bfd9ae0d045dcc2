"""Everything in results/ that needs a GPU, in pieces that go on where they were cut.

    python experiments/gpu_all.py --data ../shared/data --work runs/gpu --out results --minutes 25
    python experiments/gpu_all.py --data ../shared/data --work runs/gpu --out results --stages bench,bigbench,recipes --bars teachers_all

The bar that needs two GPUs comes first. Then the last GPU runs the ablations, measures speed, and joins the others, which run the studies (`dnd_study`: BIG-bench, commonsense, recipes), each GPU beginning with another one.
With one GPU the same comes one after another. What happened when is in OUT/progress.txt."""
import os, subprocess, sys, time
from pathlib import Path
from threading import Lock, Thread
from fastcore.script import call_parse
from dnd_nb.adapter import read_json
from dnd_nb.crew import gpus, this_commit
from dnd_nb.study.compare import comparison
from dnd_nb.study.recipes import RECIPES
from gpu_bench import PIECES

STAGES = ('ablations','bench','bigbench','commonsense','recipes')
COMPARED = Path(__file__).with_name('recipes.json') # recipes are compared at these steps, rates, seeds and checks, those of the runs that are in results/, whatever the default's

@call_parse
def main(
    data:str='../shared/data', # folder that holds bigbench and commonsense
    work:str='runs/gpu', # teachers, generators, pieces
    out:str='results', # tables and reports
    minutes:float=25., # to stop after
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct', # base model
    jobs:int=5, # processes a GPU
    commit:str='', # what to record with the results; ask git if empty
    stages:str=','.join(STAGES), # what to do; the studies in this order
    folds:str='near,fold1', # that recipes are compared on: where prompts are alike to training tasks', and where they are not
    bars:str='', # measure only these, by name, separated by commas
):
    "All GPU results"
    start,out,work,data,devs,lock,todo = time.time(),Path(out),Path(work),Path(data),gpus(),Lock(),stages.split(',')
    if odd := set(todo)-set(STAGES): raise SystemExit(f'error: no stage is called {sorted(odd)[0]}; there are {", ".join(STAGES)}')
    if not devs: raise SystemExit('error: no GPU is visible')
    os.environ['DND_NB_COMMIT'] = commit or this_commit() # the studies record it too
    for d in (out,work): d.mkdir(parents=True, exist_ok=True)
    names = [b for p in (1,2,3) for b in PIECES[p]]+PIECES[4]*(len(devs)>1)
    want = [b for b in bars.split(',') if b] or names
    if odd := set(want)-set(names): raise SystemExit(f'error: no bar of {len(devs)} GPUs is called {sorted(odd)[0]}; there are {", ".join(names)}')
    both = [b for b in want if b in PIECES[4] and 'bench' in todo]
    left = lambda until=minutes: until-(time.time()-start)/60
    cores = sorted(os.sched_getaffinity(0))
    def say(s):
        with lock, open(out/'progress.txt','a') as f: f.write(f'{time.strftime("%H:%M:%S")} [{time.time()-start:.0f} s] {s}\n')
    def run(name, args, *on): # on these GPUs, with their share of the cores
        mine = {c for g in on for c in cores[g*len(cores)//len(devs):(g+1)*len(cores)//len(devs)]}
        with open(out/f'{name}_{on[0]}.log','a') as f: r = subprocess.run([sys.executable, *map(str,args)], env=os.environ|dict(CUDA_VISIBLE_DEVICES=','.join(devs[g] for g in on)), stdout=f, stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, mine))
        say(f'{name} on GPU {on[0]}: ended with {r.returncode}')
        return r.returncode
    def bench(b, *on): left()>1 and run(f'bar_{b}', ['experiments/gpu_bench.py', '--bars', b, '--base', base, '--data', data/'bigbench', '--out', out, '--commit', os.environ['DND_NB_COMMIT'], '--minutes', min(9.5, left())], *on)
    def measure(gpu):
        if 'ablations' in todo: run('ablations', ['experiments/ablations.py', '--data', data/'bigbench', '--work', work/'ablations', '--out', out, '--base', base, '--jobs', jobs, '--steps', 250, '--max_tokens', 8192, '--budget', 60*left()], gpu)
        for b in want:
            if 'bench' in todo and b not in both: bench(b, gpu)
    def study(name, gpu, folder, *args, until=minutes): # again, if one of its processes failed
        for _ in range(3):
            if left(until)<1 or not run(name, ['-c', 'from dnd_nb.study.command import main; main()', '--train', data/'bigbench', '--work', work/folder, '--base', base, '--jobs', jobs, '--minutes', left(until), *args], gpu): return
    def panel(gpu, name, *args):
        f = out/f'zero_shot_{name}.json'
        if not (f.exists() and read_json(f)['complete']): study(name, gpu, name, '--out', f, *args)
    def recipes(gpu, until):
        f = out/'zero_shot_recipes.json'
        there = comparison(f)['rows'].groupby(['fold','config','seed']).ngroups if f.exists() else 0
        if there<3*len(RECIPES)*len(folds.split(',')): study('recipes', gpu, 'recipes', '--folds', folds, '--compare', 'all', '--settings', COMPARED, '--out', f, until=until)
    def link(name): # teachers and embeddings are the same for all
        with lock:
            for d in ('teachers','embeddings'):
                for n in ('bigbench',name): (work/n).mkdir(exist_ok=True)
                (work/'bigbench'/d).mkdir(exist_ok=True)
                if not (work/name/d).exists(): (work/name/d).symlink_to((work/'bigbench'/d).resolve())
    def studies(gpu): # a GPU begins with a study of its own, for a study's jobs wait for each other; the second time round it helps with what is left. Recipes have a third of the time until panels are done
        mine = [s for s in todo if s in STAGES[2:]]
        for i,s in enumerate((mine[gpu:]+mine[:gpu])*2):
            if s=='bigbench': panel(gpu, s, '--export', work/'generator')
            if s!='bigbench': link(s)
            if s=='commonsense': panel(gpu, s, '--held-out', data/'commonsense', '--leave-one-out')
            if s=='recipes': recipes(gpu, minutes if i or len(mine)==1 else minutes/3)
    for b in both: bench(b, *range(len(devs)))
    last = len(devs)-1
    threads = [Thread(target=lambda g=g: (measure(g) if g==last else None, studies(g))) for g in range(len(devs))]
    for t in threads: t.start()
    for t in threads: t.join()
    say('over')
