"""Faults, made from lists of files, fields and operations, and what the commands make of them: `python tools/faults.py --n 1500`.

Everything runs on random two-layer models, each fault in a process of its own (forked: the libraries are loaded once).
An outcome is right if the command ends with one line that is an error, or with the result of an unbroken run.
The world of a fault and its judge are here, the lists are in `fault_kinds.py` and `fault_around.py`. With `--log FILE` a run that was
stopped goes on: what is in the file is not tried again."""
import contextlib, csv, hashlib, itertools, json, os, random, re, shlex, shutil, signal, sys, tempfile, time, traceback
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from fastcore.script import call_parse, store_true

os.environ.update(OMP_NUM_THREADS='1', TOKENIZERS_PARALLELISM='false', HF_HUB_OFFLINE='1', CUDA_VISIBLE_DEVICES='')
KINDS = ('kill','damage','hostile','foreign','concurrent','disk','limits','around','swapped','shell')
OUTCOMES = ('right','lost','wrong','traceback','hang')
THESIS = 'my thesis, which nobody else may touch'

# ---- the commands, small enough for some seconds each
ARGS = dict(
    collect='--tasks tasks --zoo zoo --base ./base --rank 2 --steps 4 --rows 2 --keep 0.5,1 --device cpu',
    train='--zoo zoo --run run --tasks tasks --encoder ./enc --recon-steps 4 --sft-steps 2 --batch 2 --rows 1 '
        '--hidden 8 --k 2,3 --val 1 --embeddings emb --device cpu',
    generate='run prompts.txt --out adapter --base ./base',
    evaluate='run --zoo zoo --tasks tasks --k 2 --conditions 2 --rows 2 --embeddings emb --out evaluation.json '
        '--device cpu',
    verify='run --verify',
    doctor='run --zoo zoo --tasks tasks --embeddings emb --base ./base --device cpu',
    use='examples.jsonl --out mine --base ./base --steps 2',
    imported='--import-from theirs --zoo imported --base ./base --device cpu',
    demo='--folder demo --tiny',
    study='--train many --work work --out study.json --seeds 0 --tiny --device cpu',
    bench='--names import_cpu --device cpu --out bench --commit none')
ORDER = list(ARGS)
CALLED = dict(verify='dnd_doctor', use='generate_from', imported='dnd_collect') # the others: dnd_NAME
WRITES = dict(collect=('zoo','zoo'), train=('run','run'), generate=('out','adapter'), evaluate=('out','evaluation.json'),
    doctor=('out','report'), use=('out','mine'), imported=('zoo','imported'), demo=('folder','demo'),
    study=('out','study.json'), bench=('out','bench')) # option, what is written
WHOLE = tuple(c for c in ORDER if c not in ('verify','study','bench')) # commands that run to the end here

def args_of(command, **more):
    "The arguments of a command, some of them others; an option of no name stands for the first place"
    res = ARGS[command].split()
    for k,v in more.items():
        o = '--'+k.replace('_','-')
        if not k: res[0] = str(v)
        elif v is None: res.append(o)
        elif o in res[:-1]: res[res.index(o)+1] = str(v)
        else: res += [o, str(v)]
    return res

def function_of(command):
    "The function behind a command, in whatever room it is"
    name = CALLED.get(command, f'dnd_{command}')
    rooms = [import_module(f'dnd_nb.{m}') for m in ('cli','generate_command','study.command')]
    return next(getattr(m, name) for m in rooms if name in vars(m))

def small_demo():
    "A demo of some seconds"
    from dnd_nb.demo import DemoConfig, FAR, FIXED, NEAR, SEEN
    vars(FIXED).update(n_train=12, rank=2, start_rows=2, tasks=2, held_train=12, rows=2, k_train=(2,3), rounds=1, held_rows=2, tune_steps=2,
        decide_on=4)
    return DemoConfig(SEEN[:3], (NEAR[0],FAR[0]), k=2, steps=2)

DONE = set()
def made_small():
    "The slow parts of the commands, saving their state at every step, or not at all; once a process"
    if 'small' in DONE: return
    DONE.add('small')
    import dnd_nb.demo, dnd_nb.use
    from dnd_nb import collect, train
    from dnd_nb.bench import measures
    from dnd_nb.study import pieces
    collect.train_teachers = partial(collect.train_teachers, save_every=0, progress=False)
    fit = train.Trainer.fit
    train.Trainer.fit = lambda self: fit(self, save_every=0, progress=False)
    dnd_nb.demo.quick,dnd_nb.demo.fastest_threads = small_demo,lambda *a: 1
    dnd_nb.use.DEFAULT = Path('gen')
    if Path('gen.sum').exists(): dnd_nb.use.DEFAULT_SHA256 = Path('gen.sum').read_text()
    bar = dict(value=1, unit='s', baseline=1, ratio=1, target='>1', met=False, seconds=0, commit='none')
    measures.measure = lambda name, lab, commit: dict(name=name) | bar
    pieces.Study.run,pieces.Study.reports = (lambda self, *a, **kw: {},)*2 # of a study only the command line and its folders are tried here

def call(command, **more):
    "Run a command as the shell would"
    from dnd_nb.crew import from_shell
    made_small()
    from_shell(function_of(command), args_of(command, **more))

class Ended:
    "How a process ended"
    def __init__(self, rc, out, err, hung): self.rc,self.out,self.err,self.hung = rc,out,err,hung
    @property
    def last(self): return (self.err.strip() or self.out.strip()).split('\n')[-1][:300]

def start(f, cwd):
    "Fork a process that calls `f`; its number and where it writes"
    to = Path(tempfile.mkdtemp(prefix='said-'))
    sys.stdout.flush(); sys.stderr.flush()
    pid = os.fork()
    if pid: return pid,to
    code = 99
    try:
        os.setsid(); os.chdir(cwd)
        for n,fd in (('out',1), ('err',2)): os.dup2(os.open(to/n, os.O_WRONLY|os.O_CREAT), fd)
        sys.stdout,sys.stderr,sys.stdin = open(1,'w',closefd=False), open(2,'w',errors='backslashreplace',closefd=False), open(os.devnull)
        sys.argv = ['dnd_fault']
        code = 0
        try: f()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
            if isinstance(e.code, str): print(e.code, file=sys.stderr)
        except BaseException: traceback.print_exc(); code = 1
        for f in (sys.stderr, sys.stdout):
            try: f and f.flush()
            except OSError: code = code or 120 # as Python ends where what was printed could not be written
    finally: os._exit(code)

def ended(pid, to, seconds):
    "Wait for it, and no longer than that"
    t0,hung = time.time(),False
    while True:
        p,st = os.waitpid(pid, os.WNOHANG)
        if p: break
        if time.time()-t0>seconds and not hung:
            hung = True
            with contextlib.suppress(ProcessLookupError): os.killpg(pid, signal.SIGKILL)
        time.sleep(.005)
    def read(n): return (to/n).read_text(errors='replace') if (to/n).exists() else ''
    res = Ended(os.waitstatus_to_exitcode(st), read('out'), read('err'), hung)
    shutil.rmtree(to, ignore_errors=True)
    return res

def run(f, cwd, seconds=90): return ended(*start(f, cwd), seconds)

# ---- what an unbroken run gives
def sums(folder):
    "Path → SHA-256 of the files of a folder"
    def one(p): return hashlib.sha256(p.read_bytes()).hexdigest()
    return {str(p.relative_to(folder)):one(p) for p in sorted(Path(folder).rglob('*')) if p.is_file()}

def zoo_result(folder):
    from dnd_nb.zoo import Zoo
    z = Zoo(folder)
    return dict(tasks=sorted(z.tasks), n=len(z), bad=z.verify(), x=z.adapters(),
        d=z.deltas() if z.manifest.get('probes') else None,
        names=[e['folder'] for e in z.entries])

def result(ws, command):
    "What a command left, to compare"
    from dnd_nb.io.files import read_json
    if command in ('collect','imported'): return zoo_result(ws/WRITES[command][1])
    if command=='train':
        return dict(gen=(ws/'run/generator.safetensors').read_bytes(), s=read_json(ws/'run/selected.json')['strength'])
    if command in ('generate','use'):
        f = ws/WRITES[command][1]
        w = dict(w=(f/'adapter_model.safetensors').read_bytes(), p=read_json(f/'prompts.json'))
        return w | (dict(d=read_json(f/'decision.json')['decision']) if command=='use' else {})
    if command=='evaluate': return {k:read_json(ws/'evaluation.json')[k] for k in ('panel','paired')}
    if command=='doctor': return dict(found=[(f['name'],f['status']) for f in read_json(ws/'run/doctor/report.json')['findings']])
    if command=='demo':
        r = read_json(ws/'demo/report.json')
        return dict(nll=[(p['source'], p['split'], round(p['nll'], 2)) for p in r['panel']])
    return {}

def near(a, b, eps=2e-3)->bool:
    "Equal but for last digits: where memory is short, PyTorch takes other kernels"
    if type(a) is not type(b): return False
    if isinstance(b, dict): return a.keys()==b.keys() and all(near(a[k], b[k], eps) for k in b)
    if isinstance(b, list): return len(a)==len(b) and all(map(near, a, b))
    return abs(a-b)<=eps or a!=a and b!=b if isinstance(b, float) else a==b

def differ(a, b)->str:
    "Where two results differ, '' if they do not. Teachers may in last digits, where fewer were trained together"
    if 'nll' in b: return '' if len(a['nll'])==len(b['nll']) and all(p[:2]==q[:2] and abs(p[2]-q[2])<.05 for p,q in zip(a['nll'], b['nll'])) else 'nll'
    if 'panel' in b: return '' if near(a, b) else next((k for k in b if not near(a.get(k), b[k])), '')
    if 'x' not in b: return next((k for k in b if a.get(k)!=b[k] and repr(a.get(k))!=repr(b[k])), '')
    if bad := [k for k in ('tasks','n','bad') if a[k]!=b[k]]: return f'{bad[0]}: {str(a[bad[0]])[:200]}'
    if sorted(a['names'])!=sorted(b['names']): return 'names'
    at = [a['names'].index(n) for n in b['names']]
    def far(u, v): return 0. if u is v is None else float((u.float()-v.float()).norm()/v.float().norm())
    x,d = far(a['x'].flat()[at], b['x'].flat()),far(None if a['d'] is None else a['d'][at], b['d'])
    return '' if x<.01 and d<.3 else f'teachers differ by {x:.3g}, deltas by {d:.3g}'

def make_generator():
    "A generator for the base model, in place of the one that comes with the package"
    from dnd_nb.adapter import LoraSpec
    from dnd_nb.examples import ExamplesConfig
    from dnd_nb.generator import save_generator
    from dnd_nb.model import load_base
    from dnd_nb.pretrain import pretrain
    from dnd_nb.tasks.builtin import builtin_tasks
    model,tok = load_base('./base')
    cfg = ExamplesConfig(steps=2, tasks=2, rows=2, k=(2,4), hide=(0.,0.))
    spec = LoraSpec.from_model(model, targets=['q_proj','v_proj'], rank=2, alpha=4)
    gen,_ = pretrain(model, tok, builtin_tasks(['add','season'], n_train=12), spec, 2, cfg, progress=False, steps=1)
    save_generator(gen, 'gen')
    Path('gen.sum').write_text(hashlib.sha256(Path('gen/generator.safetensors').read_bytes()).hexdigest())

def make_template(top):
    "A folder in which every command has run"
    from dnd_nb.model import quiet, tiny_base, tiny_encoder
    from dnd_nb.study.folds import tiny_tasks
    from dnd_nb.task import write_tasks
    from dnd_nb.tasks.builtin import builtin_tasks
    ws = top/'whole'; ws.mkdir()
    model,tok = tiny_base(hidden=16)
    with quiet():
        model.save_pretrained(ws/'base'); tok.save_pretrained(ws/'base')
        tiny_encoder(dim=16).save(str(ws/'enc'), create_model_card=False)
    ts = builtin_tasks(['add','odd_even','next_weekday','season'], n_train=8, n_test=4)
    write_tasks(ws/'tasks', ts)
    write_tasks(ws/'many', tiny_tasks())
    (ws/'prompts.txt').write_text('What is 3 plus 4?\nWhat is 5 plus 6?\n', encoding='utf-8')
    rows = [json.dumps(dict(prompt=e.prompt, answer=e.answer))+'\n' for e in ts[0].train[:4]]
    (ws/'examples.jsonl').write_text(''.join(rows), encoding='utf-8')
    (ws/'thesis.txt').write_text(THESIS)
    if (r := run(make_generator, ws, 300)).rc: raise SystemExit(f'no generator: {r.err[-1500:]}')
    return ws,ran(top, ws)

def ran(top, ws):
    "Run each command there, keeping what there was before it; what each gave"
    res = {}
    for c in ORDER:
        if c=='imported':
            shutil.copytree(ws/'adapter', ws/'theirs'); (ws/'theirs/.dnd_nb.json').unlink()
        shutil.copytree(ws, top/f'before_{c}')
        r = run(lambda: call(c), ws, 300)
        if r.rc: raise SystemExit(f'{c} does not run: {r.err[-1500:]}')
        res[c] = result(ws, c)
    return res

# ---- one fault
class Fault:
    "A kind, a command, what happens to it, and a function that lets it happen: → outcome, how the process ended"
    def __init__(self, kind, command, what, do): self.kind,self.command,self.what,self.do = kind,command,what,do
    @property
    def key(self): return f'{self.kind} {self.command} {self.what}'

FORMED = re.compile(r'error: (?!\[Errno|not foreseen)\S')
class World:
    "Where faults happen: the template, and a scratch copy for each"
    def __init__(self, top, rng): self.top,self.rng = top,rng; self.ws,self.want = make_template(top); self.n = 0
    @contextlib.contextmanager
    def copy(self, of='whole'):
        self.n += 1
        ws = self.top/f'w{os.getpid()}-{self.n}'
        shutil.copytree(self.top/of, ws, symlinks=True)
        try: yield ws
        finally: shutil.rmtree(ws, ignore_errors=True)

    def judge(self, ws, command, r, need=False, other_ok=False):
        "The outcome of a run; need: only the unbroken result will do; other_ok: another result is right too"
        if r.hung: return 'hang'
        if (ws/'thesis.txt').read_bytes()!=THESIS.encode(): return 'lost'
        if (ws/'PWNED').exists(): return 'wrong'
        if 'Traceback' in r.err or 'not foreseen' in r.err or r.rc==99 or r.rc<0: return 'traceback'
        if r.rc: return 'wrong' if need else 'right' if self.one_line(r.err) else 'traceback'
        if other_ok: return 'right'
        try: bad = differ(result(ws, command), self.want[command])
        except Exception as e: bad = str(e)
        if bad=='found' and not need: return 'right' # the doctor says what it found, which is its task
        if bad: r.err += f'\nresult: {bad}'
        return 'wrong' if bad else 'right'

    def one_line(self, err):
        "Is the last line an error in words, and the only one?"
        ls = [l for l in err.split('\n') if l.strip()]
        said = [l for l in ls if l.startswith('error:')]
        if ls and ls[-1].startswith('stopped;'): return not said
        return bool(ls) and len(said)<=1 and bool(FORMED.match(ls[-1]) or ': error: ' in ls[-1])

def draw(world, n, kinds, make, known=()):
    "About n faults, each kind a fair share, and in it each command"
    pools = {k:list(make[k](world)) for k in kinds}
    there,share,res = {k:len({f.key for f in p}) for k,p in pools.items()},{},[]
    for k,p in pools.items():
        world.rng.shuffle(p)
        by = {}
        for f in {f.key:f for f in p if f.key not in known}.values(): by.setdefault(f.command, []).append(f)
        share[k] = [f for row in itertools.zip_longest(*by.values()) for f in row if f]
    for row in itertools.zip_longest(*share.values()): res += [f for f in row if f]
    return res[:n],there

def write_table(path, rows, there, meta):
    "kind × outcome as CSV, what was not right as JSON beside it"
    count = Counter((r['kind'],r['outcome']) for r in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, lineterminator='\n')
        w.writerow(['kind', *OUTCOMES, 'drawn', 'there_are'])
        for k in there: w.writerow([k, *(count[k,o] for o in OUTCOMES), sum(count[k,o] for o in OUTCOMES), there[k]])
    both = Counter((r['command'],r['kind']) for r in rows)
    with open(path.with_name(f'{path.stem}_commands.csv'), 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, lineterminator='\n')
        w.writerow(['command', *there])
        for c in dict.fromkeys(r['command'] for r in rows): w.writerow([c, *(both[c,k] for k in there)])
    bad = [r for r in rows if r['outcome']!='right']
    path.with_suffix('.json').write_text(json.dumps(meta | dict(not_right=bad), indent=1)+'\n', encoding='utf-8')

def read_log(log): return [json.loads(l) for l in open(log, encoding='utf-8')] if log and Path(log).exists() else []

def again(seed, kinds, key):
    "The command that tries this fault again: the same draw, and of it this fault alone"
    which = '' if kinds==list(KINDS) else f' --kinds {",".join(kinds)}'
    return f'python tools/faults.py --seed {seed}{which} --show --only {shlex.quote(f"^{re.escape(key)}$")}'

def share(faults, log, until, top, show, repeat):
    "A process that tries these faults, and adds a line to the log for each; its number"
    sys.stdout.flush()
    from dnd_nb.crew import this_commit
    if pid := os.fork(): return pid
    commit = this_commit()
    for f in faults:
        if time.time()>until: break
        t = time.time()
        o,r = f.do()
        row = dict(key=f.key, kind=f.kind, command=f.command, what=f.what, outcome=o,
            said=r.last.replace(str(top), '…'), seconds=round(time.time()-t, 2), commit=commit)
        with open(log, 'a', encoding='utf-8') as to: to.write(json.dumps(row)+'\n')
        if show or o!='right': print(f'{o:9} {f.kind:10} {f.command:16} {f.what}: {r.last!r}', flush=True)
        if o!='right': print(f'again:    {repeat(f.key)}', flush=True)
    os._exit(0)

def main(
    n:int=300, # faults to draw
    seed:int=None, # of the draw; a new one each time if not given
    kinds:str='', # which kinds, separated by commas; all if not given
    seconds:float=0, # stop after so long; 0: at the end
    only:str='', # only faults whose words match this regular expression
    out:str='', # table to write, e.g. results/faults/table.csv
    log:str='', # a line of JSON for each fault; what is there is not tried again, but for what was not right
    jobs:int=1, # processes that share the faults
    show:store_true=False, # each fault as it ends
):
    "Draw faults, let the commands meet them, count what came of it; exit 1 unless all is right"
    from fault_kinds import MAKE
    seed = int.from_bytes(os.urandom(3),'big') if seed is None else seed
    kinds,t0 = kinds.split(',') if kinds else list(KINDS),time.time()
    repeat = partial(again, seed, kinds)
    import torch, transformers, peft, sentence_transformers, pandas, scipy.stats # no set_num_threads here: its pool does not outlive a fork
    import dnd_nb.cli, dnd_nb.demo, dnd_nb.diagnostics, dnd_nb.doctor, dnd_nb.train, dnd_nb.evaluate, dnd_nb.tasks.sources
    import dnd_nb.pretrain, dnd_nb.use, dnd_nb.generate_command, dnd_nb.study.command, dnd_nb.bench.measures, matplotlib.pyplot
    top = Path(tempfile.mkdtemp(prefix='faults-'))
    os.environ['DND_NB_CACHE'] = str(top/'cache')
    rows = {r['key']:r for r in read_log(log)}
    rows = {k:r for k,r in rows.items() if r['outcome']=='right'}
    try:
        world = World(top, random.Random(seed))
        faults,there = draw(world, n if not only else 10**9, kinds, MAKE, rows)
        if only: faults = [f for f in faults if re.search(only, f.key)][:n]
        print(f'seed {seed}: {len(faults)} of {sum(there.values())} faults, {time.time()-t0:.0f} s to prepare', flush=True)
        log = log or top/'log.jsonl'
        until = t0+seconds if seconds else float('inf')
        for w in [share(faults[i::jobs], log, until, top, show, repeat) for i in range(jobs)]: os.waitpid(w, 0)
        rows |= {r['key']:r for r in read_log(log)}
    finally: shutil.rmtree(top, ignore_errors=True)
    total = Counter(r['outcome'] for r in rows.values())
    from dnd_nb.crew import this_commit, versions
    meta = dict(seed=seed, faults=len(rows), there_are=there, seconds=round(sum(r['seconds'] for r in rows.values())),
        commit=this_commit(), commits=Counter(r['commit'] for r in rows.values()), # a log may go over several
        versions=versions('peft','sentence_transformers'))
    if out: write_table(Path(out), list(rows.values()), there, meta)
    print(f'seed {seed}: '+', '.join(f'{total[o]} {o}' for o in OUTCOMES)+f', in {time.time()-t0:.0f} s')
    for r in rows.values():
        if r['outcome']!='right': print(f'{r["outcome"]}: {r["key"]}: {r["said"]!r}\n  {repeat(r["key"])}')
    sys.exit(any(o!='right' for o in total))

if __name__=='__main__': call_parse(main) # no decorator: fault_kinds imports this file, and older versions of fastcore would run it again
