"""What a library would cost in place of a few lines of ours: `python experiments/libraries.py --out results/libraries.json`.

Each library is installed beside this environment, into a folder of its own. Counted are the packages and the bytes that it adds, and the
processor seconds that its import takes after numpy, pandas, scipy.stats and matplotlib.pyplot (least of five). For the cache of embeddings,
lookups a processor second are measured on one set of vectors. The page studies/log shows the file."""
import inspect, json, os, platform, subprocess, sys, tempfile, time
from pathlib import Path
from fastcore.script import call_parse
import numpy as np

BESIDE = 'import numpy, pandas, scipy.stats, matplotlib.pyplot'
LIBRARIES = dict( # package → (module, what it would do, our function or file)
    seaborn=('seaborn', 'heat maps', 'dnd_nb.diagnostics:heatmap'),
    statsmodels=('statsmodels.stats.multitest', "Holm's correction", 'dnd_nb.compare:holm'),
    diskcache=('diskcache', 'the cache of embeddings', 'dnd_nb.encoder:PromptCache'),
    lmdb=('lmdb', 'the cache of embeddings', 'dnd_nb.encoder:PromptCache'),
    linkchecker=('linkcheck', 'links of the docs site', 'tools/check.py'))

def lines_of(where):
    "Lines of code of our function, or of the link check"
    if where.endswith('.py'):
        t = (Path(__file__).parent.parent/where).read_text(encoding='utf-8')
        t = t[t.index('class Page('):t.index('@check\ndef site')]
    else:
        mod,name = where.split(':')
        m = __import__(mod, fromlist=[name])
        t = inspect.getsource(getattr(m, name)) if name!='PromptCache' else inspect.getsource(m).split('class PromptCache')[1] # its methods are patched in below it
    return sum(bool(l.strip()) and not l.strip().startswith('#') for l in t.split('\n'))

def run(env, code): return subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, check=True).stdout.strip()

def added(package, folder):
    "Install into a folder what is not here yet: (version, packages, MB)"
    said = subprocess.run([sys.executable,'-m','pip','install','-q','--dry-run','--report','-',package], capture_output=True, text=True, check=True).stdout
    new = [f'{o["metadata"]["name"]}=={o["metadata"]["version"]}' for o in json.loads(said[said.index('{'):])['install']]
    subprocess.run([sys.executable,'-m','pip','install','-q','--no-deps','--no-compile','--target',folder,*new], check=True, capture_output=True)
    version = next(n.split('==')[1] for n in new if n.lower().startswith(package))
    return version, len(new), sum(p.stat().st_size for p in Path(folder).rglob('*') if p.is_file())/1e6

def import_seconds(module, env): # least of five, beside what every command imports for a figure
    return min(float(run(env, f'{BESIDE}\nimport time; t = time.process_time(); import {module}; print(time.process_time()-t)')) for _ in range(5))

READ = dict( # package → code that writes n vectors and gives a function that reads a list of keys
    diskcache="import diskcache; c = diskcache.Cache(folder)\nwith c.transact():\n    for k,v in zip(keys, vs): c[k] = v.tobytes()\nread = lambda ks: np.stack([np.frombuffer(c[k], np.float32) for k in ks])",
    lmdb="import lmdb; e = lmdb.open(folder, map_size=2**30)\nwith e.begin(write=True) as t:\n    for k,v in zip(keys, vs): t.put(k.encode(), v.tobytes())\ndef read(ks):\n    with e.begin() as t: return np.stack([np.frombuffer(t.get(k.encode()), np.float32) for k in ks])",
    ours="import torch; from dnd_nb.encoder import PromptCache\nclass E:\n    dim,name,tokens,fingerprint = vs.shape[1],'given',False,'0'*64\n    def encode(self, ps): return torch.from_numpy(vs[[at[p] for p in ps]])\nat = {k:i for i,k in enumerate(keys)}\nc = PromptCache(folder, E(), chunk=20000); c.encode(keys); read = c.encode")

def lookups(package, env, n=20000, batch=320): # a processor second, in batches of 320
    if package not in READ: return None
    return round(float(run(env, f"""import numpy as np, tempfile, time
folder = tempfile.mkdtemp(); keys = [f'prompt {{i}} of a task, some words long' for i in range({n})]; vs = np.random.default_rng(0).normal(size=({n},384)).astype(np.float32)
{READ[package]}
order = np.random.default_rng(1).permutation({n}); bs = [[keys[i] for i in order[j:j+{batch}]] for j in range(0, {n}, {batch})]; best = 0
for _ in range(5):
    t = time.process_time()
    for b in bs: read(b)
    best = max(best, {n}/(time.process_time()-t))
print(best)""")))

@call_parse
def main(
    out:str='results/libraries.json', # to write
):
    "Measure what each library would cost"
    res = {}
    for p,(module,what,where) in LIBRARIES.items():
        with tempfile.TemporaryDirectory() as folder:
            version,n,mb = added(p, folder)
            env = os.environ | dict(PYTHONPATH=f'{folder}:{os.environ.get("PYTHONPATH","")}')
            res[p] = dict(version=version, for_=what, packages=n, mb=round(mb, 2), import_s=round(import_seconds(module, env), 3), lines_here=lines_of(where), lookups=lookups(p, env))
        print(p, res[p], flush=True)
    res['dnd_nb'] = dict(for_='the cache of embeddings', lines_here=lines_of(LIBRARIES['lmdb'][2]), lookups=lookups('ours', dict(os.environ)))
    print(res['dnd_nb'])
    commit = subprocess.run(['git','rev-parse','--short=12','HEAD'], capture_output=True, text=True).stdout.strip()
    Path(out).write_text(json.dumps(dict(libraries=res, cores=os.cpu_count(), python=platform.python_version(), load=round(os.getloadavg()[0],1), commit=commit), indent=1)+'\n', encoding='utf-8')
