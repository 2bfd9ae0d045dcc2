"""Everything in results/ that needs a GPU, in pieces that go on where they were cut.

    python tools/gpu_all.py --data ../shared/data --work runs/gpu --out results --minutes 25

With two GPUs the second one runs the studies (`dnd_study`: BIG-bench, commonsense, recipes), and the first one runs the ablations, measures speed, and joins
the studies; the bar that needs both comes last. With one GPU the same comes one after another. What happened when is in OUT/progress.txt."""
import os, subprocess, sys, time
from pathlib import Path
from threading import Lock, Thread
from fastcore.script import call_parse
from dnd_nb.crew import gpus, this_commit

STUDY = ['-c', 'from dnd_nb.study import main; main()']

@call_parse
def main(
    data:str='../shared/data', # folder that holds bigbench and commonsense
    work:str='runs/gpu', # teachers, generators, pieces
    out:str='results', # tables and reports
    minutes:float=25., # to stop after
    base:str='HuggingFaceTB/SmolLM2-135M-Instruct', # base model
    jobs:int=8, # processes a GPU
    commit:str='', # what to record with the results; ask git if empty
    skip:str='', # stages to leave out: bench, ablations, bigbench, commonsense, recipes
):
    "All GPU results"
    start,out,work,data,devs,lock = time.time(),Path(out),Path(work),Path(data),gpus(),Lock()
    if not devs: raise SystemExit('error: no GPU is visible')
    os.environ['DND_NB_COMMIT'] = commit or this_commit() # the studies record it too
    for d in (out,work): d.mkdir(parents=True, exist_ok=True)
    left = lambda: minutes-(time.time()-start)/60
    last = 3 if len(devs)>1 and 'bench' not in skip.split(',') else 0 # minutes for the bar that needs both
    cores = sorted(os.sched_getaffinity(0))
    def say(s):
        with lock, open(out/'progress.txt','a') as f: f.write(f'{time.strftime("%H:%M:%S")} {s}\n')
    def run(stage, name, args, *on): # on these GPUs, with their share of the cores
        if stage in skip.split(',') or left()<1: return say(f'{name}: left out, {left():.1f} minutes left')
        mine = {c for g in on for c in cores[g*len(cores)//len(devs):(g+1)*len(cores)//len(devs)]}
        with open(out/f'{name}_{on[0]}.log','a') as f: r = subprocess.run([sys.executable, *map(str,args)], env=os.environ|dict(CUDA_VISIBLE_DEVICES=','.join(devs[g] for g in on)), stdout=f, stderr=subprocess.STDOUT, preexec_fn=lambda: os.sched_setaffinity(0, mine))
        say(f'{name} on GPU {on[0]}: ended with {r.returncode}')
    def bench(p, *on): run('bench', f'bench{p}', ['tools/gpu_bench.py', '--piece', p, '--base', base, '--data', data/'bigbench', '--out', out, '--commit', os.environ['DND_NB_COMMIT']], *on)
    def measure(gpu):
        run('ablations', 'ablations', ['tools/ablations.py', '--data', data/'bigbench', '--work', work/'ablations', '--out', out, '--base', base, '--jobs', jobs, '--steps', 250, '--max_tokens', 8192, '--budget', 60*left()], gpu)
        for p in (1,2,3): bench(p, gpu)
    def study(gpu):
        more = lambda n, to=None: ['--work', work/n, '--out', out/f'zero_shot_{to or n}.json', '--base', base, '--jobs', jobs, '--minutes', left()-last]
        run('bigbench', 'bigbench', [*STUDY, '--train', data/'bigbench', '--export', work/'generator', *more('bigbench')], gpu)
        with lock:
            for d in ('teachers','embeddings'): # the same for both
                (work/'commonsense').mkdir(exist_ok=True)
                if (work/'bigbench'/d).exists() and not (work/'commonsense'/d).exists(): (work/'commonsense'/d).symlink_to((work/'bigbench'/d).resolve())
        run('commonsense', 'commonsense', [*STUDY, '--train', data/'bigbench', '--held-out', data/'commonsense', '--leave-one-out', *more('commonsense')], gpu)
        run('recipes', 'recipes', [*STUDY, '--train', data/'bigbench', '--folds', 'fold1', '--compare', 'all', *more('bigbench', 'recipes')], gpu)
    first = Thread(target=lambda: (measure(0), study(0)))
    first.start()
    if len(devs)>1: study(1)
    first.join()
    if len(devs)>1: bench(4, 0, 1)
    say('over')
