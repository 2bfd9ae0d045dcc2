"""Faults, made from lists of files, fields and operations, and what the commands make of them: `python tools/faults.py --n 1500`.

Everything runs on random two-layer models, each fault in a process of its own (forked: the libraries are loaded once).
An outcome is right if the command ends with one line that is an error, or with the result of an unbroken run."""
import builtins, contextlib, csv, errno, gzip, hashlib, io, itertools, json, os, random, shutil, signal, sys, tempfile, time, traceback
from collections import Counter
from pathlib import Path
from fastcore.script import call_parse, store_true

os.environ.update(OMP_NUM_THREADS='1', TOKENIZERS_PARALLELISM='false', HF_HUB_OFFLINE='1', CUDA_VISIBLE_DEVICES='')
KINDS, OUTCOMES = ('kill','damage','hostile','foreign','concurrent','disk','limits'), ('right','lost','wrong','traceback','hang')
THESIS = 'my thesis, which nobody else may touch'

# ---- the commands, small enough for a second each
ARGS = dict(
    collect='--tasks tasks --zoo zoo --base ./base --rank 2 --steps 4 --rows 2 --keep 0.5,1 --device cpu',
    train='--zoo zoo --run run --tasks tasks --encoder ./enc --recon-steps 4 --sft-steps 2 --batch 2 --rows 1 --hidden 8 --k 2,3 --val 1 --embeddings emb --device cpu',
    generate='run prompts.txt --out adapter --base ./base',
    evaluate='run --zoo zoo --tasks tasks --k 2 --conditions 2 --rows 2 --embeddings emb --out evaluation.json --device cpu',
    verify='run --verify')
ORDER = list(ARGS)

def args_of(command, **more):
    "The arguments of a command, some of them others"
    res = ARGS[command].split()
    for k,v in more.items():
        o = '--'+k.replace('_','-')
        if o in res[:-1]: res[res.index(o)+1] = str(v)
        else: res += [o, str(v)]
    return res

def call(command, **more):
    "Run a command as the shell would, saving its state at every step"
    from dnd_nb import cli, collect, train
    from dnd_nb.crew import from_shell
    from functools import partial
    collect.train_teachers = partial(collect.train_teachers, save_every=0, progress=False)
    fit = train.Trainer.fit
    train.Trainer.fit = lambda self: fit(self, save_every=0, progress=False)
    from_shell(getattr(cli, 'dnd_'+dict(verify='doctor').get(command, command)), args_of(command, **more))

class Ended:
    "How a process ended"
    def __init__(self, rc, out, err, hung): self.rc,self.out,self.err,self.hung = rc,out,err,hung
    @property
    def last(self): return (self.err.strip() or self.out.strip()).split('\n')[-1][:300]

def start(f, cwd, seconds):
    "Fork a process that calls `f`; its number and where it writes"
    to = Path(tempfile.mkdtemp(prefix='said-'))
    sys.stdout.flush(); sys.stderr.flush()
    pid = os.fork()
    if pid: return pid,to
    code = 99
    try:
        os.setsid(); os.chdir(cwd)
        for n,fd in (('out',1), ('err',2)): os.dup2(os.open(to/n, os.O_WRONLY|os.O_CREAT), fd)
        sys.stdout,sys.stderr,sys.stdin = open(1,'w',closefd=False), open(2,'w',closefd=False), open(os.devnull)
        sys.argv = ['dnd_fault']
        code = 0
        try: f()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
            if isinstance(e.code, str): print(e.code, file=sys.stderr)
        except BaseException: traceback.print_exc(); code = 1
        sys.stdout.flush(); sys.stderr.flush()
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
    read = lambda n: (to/n).read_text(errors='replace') if (to/n).exists() else ''
    res = Ended(os.waitstatus_to_exitcode(st), read('out'), read('err'), hung)
    shutil.rmtree(to, ignore_errors=True)
    return res

def run(f, cwd, seconds=60): return ended(*start(f, cwd, seconds), seconds)

# ---- what an unbroken run gives
def sums(folder): return {str(p.relative_to(folder)):hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).rglob('*')) if p.is_file()}

def result(ws, command):
    "What a command left, to compare"
    from dnd_nb.zoo import Zoo
    from dnd_nb.io.files import read_json
    if command=='collect':
        z = Zoo(ws/'zoo')
        return dict(tasks=sorted(z.tasks), n=len(z), bad=z.verify(), x=z.adapters(), d=z.deltas(), names=[e['folder'] for e in z.entries])
    if command=='train': return dict(gen=(ws/'run/generator.safetensors').read_bytes(), s=read_json(ws/'run/selected.json')['strength'])
    if command=='generate': return dict(w=(ws/'adapter/adapter_model.safetensors').read_bytes(), p=read_json(ws/'adapter/prompts.json'))
    if command=='evaluate': return dict(panel=read_json(ws/'evaluation.json')['panel'], paired=read_json(ws/'evaluation.json')['paired'])
    return {}

def differ(a, b)->str:
    "Where two results differ, '' if they do not. Teachers may in last digits, where fewer were trained together"
    if 'x' not in a: return next((k for k in b if a.get(k)!=b[k] and repr(a.get(k))!=repr(b[k])), '')
    if bad := [k for k in ('tasks','n','bad') if a[k]!=b[k]]: return f'{bad[0]}: {str(a[bad[0]])[:200]}'
    if sorted(a['names'])!=sorted(b['names']): return 'names'
    at = [a['names'].index(n) for n in b['names']]
    far = lambda u,v: float((u.float()-v.float()).norm()/v.float().norm())
    x,d = far(a['x'].flat()[at], b['x'].flat()),far(a['d'][at], b['d'])
    return '' if x<.01 and d<.3 else f'teachers differ by {x:.3g}, deltas by {d:.3g}'

def make_template(top):
    "A folder in which every command has run"
    from dnd_nb.model import quiet, tiny_base, tiny_encoder
    from dnd_nb.task import write_tasks
    from dnd_nb.tasks.builtin import builtin_tasks
    ws = top/'whole'; ws.mkdir()
    model,tok = tiny_base(hidden=16)
    with quiet():
        model.save_pretrained(ws/'base'); tok.save_pretrained(ws/'base')
        tiny_encoder(dim=16).save(str(ws/'enc'), create_model_card=False)
    write_tasks(ws/'tasks', builtin_tasks(['add','odd_even','next_weekday','season'], n_train=8, n_test=4))
    (ws/'prompts.txt').write_text('What is 3 plus 4?\nWhat is 5 plus 6?\n', encoding='utf-8')
    (ws/'thesis.txt').write_text(THESIS)
    stages = {}
    for c in ORDER:
        shutil.copytree(ws, top/f'before_{c}') # what there was before it ran
        r = run(lambda: call(c), ws, 300)
        if r.rc: raise SystemExit(f'{c} does not run: {r.err[-1500:]}')
        stages[c] = result(ws, c)
    return ws,stages

# ---- one fault
class Fault:
    def __init__(self, kind, command, what, do): self.kind,self.command,self.what,self.do = kind,command,what,do

class World:
    "Where faults happen: the template, and a scratch copy for each"
    def __init__(self, top, rng): self.top,self.rng = top,rng; self.ws,self.want = make_template(top); self.n = 0
    @contextlib.contextmanager
    def copy(self, of='whole'):
        self.n += 1
        ws = self.top/f'w{self.n}'
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
        if bad: r.err += f'\nresult: {bad}'
        return 'wrong' if bad else 'right'

    def one_line(self, err):
        ls = [l for l in err.split('\n') if l.strip()]
        return bool(ls) and (ls[-1].startswith(('error:','stopped;')) or ': error: ' in ls[-1]) and sum(l.startswith('error:') for l in ls)<=1

# ---- kill, disk: at the k-th operation on a file
OPS = ('replace','rename','fsync','mkdir','unlink','rmdir','scandir')
def inject(k, act):
    "Before the k-th operation on files, call `act`; count only, if k is None. Returns the counter"
    seen = [0]
    def step(name):
        seen[0] += 1
        if seen[0]==k: act(name)
    for n in OPS:
        def f(*a, _f=getattr(os, n), _n=n, **kw): step(_n); return _f(*a, **kw)
        setattr(os, n, f)
    real = builtins.open
    def opened(file, mode='r', *a, **kw):
        if any(c in mode for c in 'wax+') and not str(file).startswith(('/dev','/proc')) and not isinstance(file, int): step('open')
        return real(file, mode, *a, **kw)
    builtins.open = io.open = opened
    from dnd_nb.io import files
    def swap(a, b, _f=files._exchange): step('exchange'); return _f(a, b)
    files._exchange = swap
    return seen

def count_ops(world, command):
    with world.copy(f'before_{command}') as ws:
        def f():
            seen = inject(None, None)
            call(command)
            Path('ops').write_text(str(seen[0]))
        r = run(f, ws, 300)
        if not (ws/'ops').exists(): raise SystemExit(f'{command} does not run while its operations are counted: {"hung" if r.hung else r.last}')
        return int((ws/'ops').read_text())

def at_operation(world, kind, command, k, how):
    "Killed, or refused by the disk, at operation k; then the same command again"
    def act(name):
        if how=='kill': os._exit(137)
        raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))
    def do():
        from dnd_nb.io.files import _scratch
        with world.copy(f'before_{command}') as ws:
            r = run(lambda: (inject(k, act), call(command)), ws)
            if how!='kill' and (o := world.judge(ws, command, r))!='right': return o,r
            r = run(lambda: call(command), ws)
            o = world.judge(ws, command, r, need=True)
            left = [p.name for p in ws.rglob('.*') if _scratch.fullmatch(p.name)]
            if o=='right' and left: r.err += f' left: {left[0]}'; o = 'wrong'
            return o,r
    return Fault(kind, command, f'{how} at operation {k}', do)

def kills(world):
    for c in ('collect','train','generate','evaluate'):
        for k in range(1, count_ops(world, c)+1): yield at_operation(world, 'kill', c, k, 'kill')

def disks(world):
    for c in ('collect','train','generate','evaluate'):
        for k in range(1, count_ops(world, c)+1):
            for how in ('ENOSPC','EIO','EACCES','EROFS'): yield at_operation(world, 'disk', c, k, how)

# ---- damage: every file of the workspace × every operation × the commands that read it
def flip(b, rng): i = rng.randrange(len(b)); return b[:i]+bytes([b[i]^(1<<rng.randrange(8))])+b[i+1:]
BYTES = dict(flip=flip, flip_late=lambda b,r: flip(b[:len(b)//2], r)[:0]+b[:len(b)//2]+flip(b[len(b)//2:], r), cut=lambda b,r: b[:r.randrange(len(b))], empty=lambda b,r: b'',
    longer=lambda b,r: b+b'x'*r.choice((1,8,999)), zeros=lambda b,r: bytes(len(b)), noise=lambda b,r: r.randbytes(len(b)))
VALUES = (None, True, -1, 0, 1e308, 'x', [], {}, [[]], 'x'*9999, '../..', float('nan'))
READS = dict(collect=('tasks','base','zoo'), train=('tasks','base','enc','zoo','run','emb'), generate=('enc','run','prompts.txt'), evaluate=('tasks','base','enc','zoo','run','emb'), verify=('run',))

def files_of(world, command): return [p for t in READS[command] for p in sorted([world.ws/t] if (world.ws/t).is_file() else (world.ws/t).rglob('*')) if p.is_file() and not p.name.startswith('.lock')]

def fields(x, at=()): # every place in a JSON value
    yield at
    for k,v in (x.items() if isinstance(x, dict) else enumerate(x[:3]) if isinstance(x, list) else ()): yield from fields(v, (*at, k))

def put(x, at, v):
    if not at: return v
    x = dict(x) if isinstance(x, dict) else list(x)
    if v is put and len(at)==1: del x[at[0]]; return x # put stands for: absent
    x[at[0]] = put(x[at[0]], at[1:], v)
    return x

MADE = ('zoo','run','emb') # what the package wrote itself; the rest is the user's
def damaged(world, command, rel, what, change):
    def do():
        with world.copy() as ws:
            p = ws/rel
            if change is None: p.unlink()
            else: p.write_bytes(change(p.read_bytes()))
            theirs = {f:s for f,s in sums(ws).items() if f.split('/')[0] not in MADE+('adapter','evaluation.json')}
            r = run(lambda: call(command), ws)
            o = world.judge(ws, command, r)
            if {f:s for f,s in sums(ws).items() if f in theirs}!=theirs: o = 'lost'
            return o,r
    return Fault('damage', command, f'{rel}: {what}', do)

def damages(world):
    rng = world.rng
    for c in READS:
        for p in files_of(world, c):
            rel = p.relative_to(world.ws).as_posix()
            yield damaged(world, c, rel, 'removed', None)
            for n,f in BYTES.items():
                s = rng.random()
                if p.stat().st_size: yield damaged(world, c, rel, n, lambda b,f=f,s=s: f(b, random.Random(s)))
            if p.suffix!='.json': continue
            x = json.loads(p.read_text(encoding='utf-8'))
            for at in rng.sample(list(fields(x)), min(6, len(list(fields(x))))):
                for v in rng.sample(VALUES, 2)+[put]:
                    if v is put and not at: continue
                    yield damaged(world, c, rel, f'{"/".join(map(str, at))} = {"absent" if v is put else repr(v)[:20]}', lambda b,x=x,at=at,v=v: json.dumps(put(x, at, v)).encode())

# ---- limits: every option × values
OPTION_VALUES = ('-1', '0', '1e309', 'nan', '', 'x', '../..', '999999999999', '-0.5', 'a,b', '1,,2', '\ud83d')
def limits(world):
    from dnd_nb import cli
    from fastcore.script import anno_parser
    for c in ORDER:
        f = getattr(cli, 'dnd_'+dict(verify='doctor').get(c, c))
        opts = [o.lstrip('-') for a in anno_parser(f.__wrapped__, 'x')._actions for o in a.option_strings[:1] if o not in ('-h','--pdb','--xtra')]
        for o in dict.fromkeys(opts):
            for v in OPTION_VALUES:
                if (o,v) in {('rank','999999999999')}: continue
                def do(c=c, o=o, v=v):
                    with world.copy(f'before_{c}') as ws:
                        r = run(lambda: call(c, **{o.replace('-','_'):v}), ws, 20)
                        return world.judge(ws, c, r, other_ok=True),r
                yield Fault('limits', c, f'--{o} {v!r}', do)

# ---- foreign: what others wrote where a command would write
def foreign(world):
    places = dict(collect=('zoo','zoo'), train=('run','run'), generate=('out','adapter'), evaluate=('out','evaluation.json'))
    def thesis(p): p.mkdir(parents=True, exist_ok=True); (p/'thesis.txt').write_text(THESIS); return [p/'thesis.txt']
    def file(p): p.write_text(THESIS); return [p]
    def link(p): (p.parent/'elsewhere').mkdir(); (p.parent/'elsewhere'/'thesis.txt').write_text(THESIS); p.symlink_to(p.parent/'elsewhere'); return [p.parent/'elsewhere'/'thesis.txt']
    def named(*names):
        def f(p): p.mkdir(parents=True, exist_ok=True); fs = [p/n for n in names]; [(x.parent.mkdir(parents=True, exist_ok=True), x.write_text(THESIS)) for x in fs]; return fs
        return f
    ways = dict(folder=thesis, file=file, link=link, **{n.replace('/','_'):named(n) for n in ('state/thesis.txt','parts/thesis.json','manifest.json','config.json','selected.json',
        'generator.safetensors','adapter_config.json','adapter_model.safetensors','add/step_00002/thesis.txt','add/prompts.json','multitask/thesis.txt','state/state.safetensors','panel.csv','.dnd_nb.json','log.jsonl')})
    for c,(o,name) in places.items():
        for w,make in ways.items():
            def do(c=c, o=o, name=name, make=make):
                with world.copy(f'before_{c}') as ws:
                    fs = make(ws/'mine'/name if False else ws/'mine')
                    r = run(lambda: call(c, **{o:'mine'}), ws)
                    res = world.judge(ws, c, r, other_ok=True)
                    if any(not f.exists() or f.read_bytes()!=THESIS.encode() for f in fs): res = 'lost'
                    return res,r
            yield Fault('foreign', c, f'{w} where it would write', do)
        for target in ('.', 'tasks', 'zoo', 'base', 'thesis.txt', 'run', 'nowhere/deep/er', 'x'*300, 'enc', '/dev/null', 'tasks/new'):
            def do(c=c, o=o, target=target):
                with world.copy(f'before_{c}') as ws:
                    was = {f:s for f,s in sums(ws).items()}
                    r = run(lambda: call(c, **{o:target}), ws)
                    res = world.judge(ws, c, r, other_ok=True)
                    now = sums(ws)
                    if any(now.get(f)!=s for f,s in was.items() if not f.startswith('zoo/manifest') and '.lock' not in f): res = 'lost'
                    return res,r
            yield Fault('foreign', c, f'--{o} {target[:20]}', do)

# ---- hostile: code, links, pipes, names
def hostile(world):
    evil = 'import pathlib; pathlib.Path("PWNED").write_text("x")\n'
    def edit(p, **kw): p.write_text(json.dumps(json.loads(p.read_text()) | kw))
    def base_code(ws): (ws/'base/evil.py').write_text(evil); edit(ws/'base/config.json', auto_map=dict(AutoConfig='evil.C', AutoModelForCausalLM='evil.M'))
    def base_type(ws): base_code(ws); edit(ws/'base/config.json', model_type='evil')
    def tok_code(ws): (ws/'base/evil.py').write_text(evil); edit(ws/'base/tokenizer_config.json', auto_map=dict(AutoTokenizer=['evil.T','evil.T']), tokenizer_class='T')
    def enc_type(ws): (ws/'enc/evil.py').write_text(evil); m = json.loads((ws/'enc/modules.json').read_text()); m[0]['type'] = 'evil.Transformer'; (ws/'enc/modules.json').write_text(json.dumps(m)); (ws/'evil.py').write_text(evil)
    def enc_auto(ws): (ws/'enc/evil.py').write_text(evil); edit(ws/'enc/config.json', auto_map=dict(AutoModel='evil.M'), model_type='evil')
    def dense(ws):
        m = json.loads((ws/'enc/modules.json').read_text()); m.append(dict(idx=2, name='2', path='2_Dense', type='sentence_transformers.models.Dense'))
        (ws/'enc/modules.json').write_text(json.dumps(m)); (ws/'enc/2_Dense').mkdir(); (ws/'enc/2_Dense/config.json').write_text(json.dumps(dict(in_features=16, out_features=16, bias=True, activation_function='os.system')))
    def pickled(ws):
        import pickle
        class P:
            def __reduce__(self): return (os.system, ('touch PWNED',))
        for d in ('base','enc'): (ws/d/'model.safetensors').unlink(); (ws/d/'pytorch_model.bin').write_bytes(pickle.dumps(P()))
    def stray(ws): shutil.copytree(world.ws/'adapter', ws/'base', dirs_exist_ok=True)
    def path_out(ws): m = json.loads((ws/'zoo/manifest.json').read_text()); m.pop('sha256',0); m['entries'][0]['folder'] = '../outside'; (ws/'zoo/manifest.json').write_text(json.dumps(m)); shutil.copytree(world.ws/'adapter', ws/'outside')
    def task_out(ws): m = json.loads((ws/'zoo/manifest.json').read_text()); m.pop('sha256',0); m['entries'][0]['task'] = '../tasks'; (ws/'zoo/manifest.json').write_text(json.dumps(m))
    def link_out(ws): f = next((ws/'zoo').glob('*/step_*')); shutil.move(f, ws/'elsewhere'); edit(ws/'elsewhere/adapter_config.json', r=2); f.symlink_to(ws/'elsewhere')
    def rows(ws, name, text, data=None): (ws/f'tasks/{name}.train.jsonl').write_bytes(data if data is not None else text.encode('utf-8','surrogatepass'))
    row = '{"prompt":"%s","answer":"b"}\n'
    cases = dict(base_code=base_code, base_type=base_type, tok_code=tok_code, enc_type=enc_type, enc_auto=enc_auto, dense=dense, pickled=pickled, stray=stray, path_out=path_out, task_out=task_out, link_out=link_out)
    for n in ('tasks/add.train.jsonl','tasks/families.json','base/config.json','base/model.safetensors','base/tokenizer.json','enc/modules.json','enc/config.json','enc/model.safetensors','zoo/manifest.json','run/config.json',
            'run/selected.json','run/generator.safetensors','run/state/state.safetensors','prompts.txt','zoo/add/prompts.json','zoo/add/step_00004/adapter_config.json','zoo/add/step_00004/adapter_model.safetensors','zoo/add/step_00004/delta.npy'):
        def pipe(ws, n=n): (ws/n).unlink(missing_ok=True); os.mkfifo(ws/n)
        def folder(ws, n=n): (ws/n).unlink(missing_ok=True); (ws/n).mkdir()
        def loop(ws, n=n): (ws/n).unlink(missing_ok=True); (ws/n).symlink_to(ws/n)
        def zero(ws, n=n): (ws/n).unlink(missing_ok=True); (ws/n).symlink_to('/dev/zero')
        for w,f in dict(pipe=pipe, folder=folder, loop=loop, zero=zero).items(): cases[f'{w} as {n}'] = f
    texts = dict(bom='\ufeff'+row%'a', surrogate=row%'\\ud800', raw_surrogate=row%'\ud800', line_sep=row%'a\u2028b', nul=row%'a\\u0000b', deep='['*99999+'\n', long=row%('x'*10**6), not_utf8=None, crlf=(row%'a').replace('\n','\r\n'), nan='{"prompt":"a","answer":NaN}\n', list_='[1,2]\n', big='{"prompt":"a","answer":"b","choices":'+str(10**400)+'}\n')
    for n,t in texts.items():
        cases[f'rows {n}'] = lambda ws,t=t: rows(ws, 'add', t, b'\xff\xfe\x00' if t is None else None)
        cases[f'prompts {n}'] = lambda ws,t=t: (ws/'prompts.txt').write_bytes(b'\xff\xfe\x00' if t is None else t.encode('utf-8','surrogatepass'))
    for n in ('../x','.x','state','parts','con','a b','x'*200,'a\nb',' ','é','a.','manifest.json','a|b'):
        def name(ws, n=n):
            with contextlib.suppress(OSError, ValueError):
                for p in ('train','test'): shutil.copy(ws/f'tasks/add.{p}.jsonl', ws/f'tasks/{n}.{p}.jsonl')
        cases[f'task named {n[:12]!r}'] = name
    for n,f in cases.items():
        for c in ('collect','train','generate','evaluate'):
            def do(c=c, f=f, n=n):
                with world.copy('whole') as ws:
                    f(ws)
                    was = sums(ws/'tasks') if not any((ws/'tasks').glob('*pipe')) and all(p.is_file() for p in (ws/'tasks').iterdir()) and not any(os.path.islink(p) for p in (ws/'tasks').iterdir()) else None
                    r = run(lambda: call(c), ws, 30)
                    o = world.judge(ws, c, r, other_ok=n.startswith(('rows','task','prompts')))
                    if was is not None and sums(ws/'tasks')!=was: o = 'lost'
                    return o,r
            yield Fault('hostile', c, n, do)

# ---- concurrent: two at once
def concurrent(world):
    for a,b in [('collect','collect'), ('train','train'), ('generate','generate'), ('evaluate','evaluate'), ('collect','train'), ('train','evaluate'), ('collect','evaluate'), ('train','generate')]:
        for i in range(8):
            def do(a=a, b=b, i=i):
                first = min(a, b, key=ORDER.index)
                with world.copy(f'before_{first}' if a==b else 'whole') as ws:
                    p = start(lambda: call(a), ws, 60)
                    time.sleep(world.rng.random()*.4*i/8)
                    q = start(lambda: call(b), ws, 60)
                    ra,rb = ended(*p, 60),ended(*q, 60)
                    for c,r in ((a,ra), (b,rb)):
                        if r.rc and not r.hung and 'writes there' in r.err: continue # told who holds it
                        if (o := world.judge(ws, c, r, need=True))!='right': return o,r
                    return ('right' if ra.rc==0 or rb.rc==0 else 'wrong'),ra
            yield Fault('concurrent', f'{a}+{b}', f'start {i}', do)

MAKE = dict(kill=kills, damage=damages, hostile=hostile, foreign=foreign, concurrent=concurrent, disk=disks, limits=limits)

def draw(world, n, kinds):
    "About n faults, each kind a fair share"
    pools = {k:list(MAKE[k](world)) for k in kinds}
    for p in pools.values(): world.rng.shuffle(p)
    share,res = {k:0 for k in kinds},[]
    for k in itertools.cycle(kinds):
        if len(res)>=n or all(share[j]>=len(pools[j]) for j in kinds): break
        if share[k]<len(pools[k]): res.append(pools[k][share[k]]); share[k] += 1
    return res,{k:len(p) for k,p in pools.items()}

def write_table(path, count, kinds, meta):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, lineterminator='\n')
        w.writerow(['kind', *OUTCOMES, 'drawn', 'there_are'])
        for k in kinds: w.writerow([k, *(count[k,o] for o in OUTCOMES), sum(count[k,o] for o in OUTCOMES), meta['there_are'][k]])
    path.with_suffix('.json').write_text(json.dumps(meta, indent=1)+'\n', encoding='utf-8')

@call_parse
def main(
    n:int=300, # faults to draw
    seed:int=None, # of the draw; a new one each time if not given
    kinds:str=','.join(KINDS), # which kinds
    seconds:float=0, # stop after so long; 0: at the end
    only:str='', # only faults whose words contain this
    out:str='', # table to write, e.g. results/faults/table.csv
    show:store_true=False, # each fault as it ends
):
    "Draw faults, let the commands meet them, count what came of it; exit 1 unless all is right"
    seed = int.from_bytes(os.urandom(3),'big') if seed is None else seed
    kinds,t0,count,bad = kinds.split(','),time.time(),Counter(),[]
    import torch, transformers, peft, sentence_transformers, pandas, scipy.stats # no set_num_threads here: its pool does not outlive a fork
    import dnd_nb.cli, dnd_nb.demo, dnd_nb.diagnostics, dnd_nb.train, dnd_nb.evaluate, dnd_nb.tasks.sources
    top = Path(tempfile.mkdtemp(prefix='faults-'))
    os.environ['DND_NB_CACHE'] = str(top/'cache')
    try:
        world = World(top, random.Random(seed))
        faults,there = draw(world, n if not only else 10**9, kinds)
        if only: faults = [f for f in faults if only in f'{f.command} {f.what}'][:n]
        print(f'seed {seed}: {len(faults)} of {sum(there.values())} faults, {time.time()-t0:.0f} s to prepare', flush=True)
        for f in faults:
            if seconds and time.time()-t0>seconds: break
            o,r = f.do()
            count[f.kind,o] += 1
            if o!='right': bad.append((f,o,r))
            if show or o!='right': print(f'{o:9} {f.kind:10} {f.command:16} {f.what}: {r.last!r}', flush=True)
    finally: shutil.rmtree(top, ignore_errors=True)
    total = {o:sum(count[k,o] for k in kinds) for o in OUTCOMES}
    from dnd_nb.crew import this_commit, versions
    meta = dict(seed=seed, faults=sum(total.values()), there_are=there, seconds=round(time.time()-t0), commit=this_commit(), versions=versions('peft','sentence_transformers'),
        not_right=[dict(kind=f.kind, command=f.command, what=f.what, outcome=o, said=r.last.replace(str(top), '…')) for f,o,r in bad])
    if out: write_table(Path(out), count, kinds, meta)
    print(f'seed {seed}: '+', '.join(f'{v} {k}' for k,v in total.items())+f', in {time.time()-t0:.0f} s')
    sys.exit(bool(bad))
