"""All bars of `dnd_bench` in pieces that each end within ten minutes on an H100; every bar in a process of its own, so that one that fails costs only itself.

    python experiments/gpu_bench.py --piece 1                 # then 2 and 3; 4 needs two GPUs, 5 no GPU
    python experiments/gpu_bench.py --bars sft_step,recon_step

Figures go to results/bench-<device>.json as soon as a bar ends; a piece that was cut is called again, and leaves out what is there for this commit."""
import subprocess, sys, time
from pathlib import Path
from fastcore.script import call_parse
from dnd_nb.io.files import read_json
from dnd_nb.bench.measures import BARS, device_slug
from dnd_nb.crew import this_commit

PIECES = {
    1: ['apply_forward','apply_backward','generate_0.5b','generate_7b','sft_step','recon_step','evaluate_conditions','decode_batched'],
    2: ['teachers_qv'],
    3: ['teachers_all'],
    4: ['two_gpus'],
    5: ['import_cpu','cache_lookups','generate_cpu','zoo_open','zoo_pairs','demo_cpu']}

@call_parse
def main(
    piece:int=0, # 1 to 5; 0: the bars named
    bars:str='', # names separated by commas
    out:str='results', # folder of bench-<device>.json
    base:str='', # real weights for the base model
    data:str='', # real rows for the teachers' bars
    device:str='auto', # cpu, cuda, or auto
    commit:str='', # what to record; ask git if empty
    again:int=0, # 1: measure anew what is there for this commit
    minutes:float=9.5, # begin no bar after so long
):
    "Measure one piece"
    import torch
    device = ('cuda' if torch.cuda.is_available() else 'cpu') if device=='auto' else device
    names = [b for b in bars.split(',') if b] or PIECES[piece]
    commit,path,t0,failed = commit or this_commit(),Path(out)/f'bench-{device_slug(device)}.json',time.time(),[]
    have = {b['name'] for b in read_json(path)['bars'] if b['commit']==commit} if path.exists() and not again else set()
    for n in names:
        if n not in BARS: raise SystemExit(f'error: no bar is called {n!r}; there are {", ".join(BARS)}')
        if n in have: print(f'{n}: there'); continue
        left = 60*minutes-(time.time()-t0)
        if left<20: print(f'{n}: no time left; call again'); failed.append(n); continue
        code = 'import sys; from dnd_nb.bench.measures import bench; n,device,out,base,data,commit = sys.argv[1:]; bench([n], device, out, base, data, commit=commit)'
        try: r = subprocess.run([sys.executable, '-c', code, n, device, out, base, data, commit], timeout=left).returncode
        except subprocess.TimeoutExpired: r = 'out of time'
        if r: print(f'{n}: ended with {r}'); failed.append(n)
    print(f'{time.time()-t0:.0f} s; {len(failed)} left: {", ".join(failed)}' if failed else f'{time.time()-t0:.0f} s; all there')
    sys.exit(bool(failed))
