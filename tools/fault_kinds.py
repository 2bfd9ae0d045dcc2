"""The lists that `faults.py` draws from: files × fields × operations, options × values, names, texts, pairs of commands"""
import builtins, contextlib, errno, io, json, os, random, resource, shutil, signal, struct, sys, time
from pathlib import Path
from fault_around import MORE
from faults import ORDER, THESIS, WHOLE, WRITES, Fault, call, ended, function_of, made_small, run, start, sums

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
        mine = not isinstance(file, int) and not str(file).startswith(('/dev','/proc'))
        if mine and any(c in mode for c in 'wax+'): step('open')
        return real(file, mode, *a, **kw)
    builtins.open = io.open = opened
    from dnd_nb.io import files
    def swap(a, b, _f=files._exchange): step('exchange'); return _f(a, b)
    files._exchange = swap
    return seen

def count_ops(world, command):
    "How many operations on files a command makes"
    with world.copy(f'before_{command}') as ws:
        def f():
            seen = inject(None, None)
            call(command)
            Path('ops').write_text(str(seen[0]))
        r = run(f, ws, 300)
        if not (ws/'ops').exists():
            raise SystemExit(f'{command} does not run while its operations are counted: {"hung" if r.hung else r.last}')
        return int((ws/'ops').read_text())

def operations(world):
    "Command → number of operations, counted once"
    if not hasattr(world, 'ops'): world.ops = {c:count_ops(world, c) for c in WHOLE}
    return world.ops

def act_at(how):
    "What happens at an operation: an end, a signal, or an error of the disk"
    def act(name):
        if how=='kill': os._exit(137)
        if how=='SIGINT twice': # the second one comes while the first is answered
            signal.signal(signal.SIGALRM, lambda *a: signal.raise_signal(signal.SIGINT))
            signal.setitimer(signal.ITIMER_REAL, .002)
            return signal.raise_signal(signal.SIGINT)
        if how in ('SIGTERM','SIGINT','SIGHUP'): return signal.raise_signal(getattr(signal, how))
        raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))
    return act

def at_operation(world, kind, command, k, how):
    "Killed, stopped or refused by the disk at operation k; then the same command again"
    def do():
        from dnd_nb.io.files import _scratch
        with world.copy(f'before_{command}') as ws:
            r = run(lambda: (inject(k, act_at(how)), call(command)), ws)
            if how!='kill' and (o := world.judge(ws, command, r))!='right': return o,r
            r = run(lambda: call(command), ws)
            o = world.judge(ws, command, r, need=True)
            left = [p.name for p in ws.rglob('.*') if _scratch.fullmatch(p.name)]
            if o=='right' and left: r.err += f' left: {left[0]}'; o = 'wrong'
            return o,r
    return Fault(kind, command, f'{how} at operation {k}', do)

def kills(world):
    "At every operation of every command: the process dies, or is asked to end"
    for c,n in operations(world).items():
        for k in range(1, n+1): yield at_operation(world, 'kill', c, k, 'kill')
        for k in range(1, n+1, 5):
            for how in ('SIGTERM','SIGINT','SIGHUP','SIGINT twice'): yield at_operation(world, 'kill', c, k, how)

LIMITS = dict(RLIMIT_FSIZE=(0,1,100,300,1000,2000,4000,10_000,20_000,50_000,200_000), RLIMIT_NOFILE=(8,16,32))
def limited(world, command, what, n):
    "The system allows only so much; then the same command again without that limit"
    def bound(): resource.setrlimit(getattr(resource, what), (n, n))
    def do():
        with world.copy(f'before_{command}') as ws:
            r = run(lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), made_small(), bound(), call(command)), ws)
            if r.rc==0 or what=='RLIMIT_NOFILE' and 'stopped' in r.err: return world.judge(ws, command, r),r
            if what=='RLIMIT_FSIZE' and max(len(r.out.encode()), len(r.err.encode()))>=n: pass # what it says goes into files too, and was cut there
            elif (o := world.judge(ws, command, r))!='right': return o,r
            r = run(lambda: call(command), ws)
            return world.judge(ws, command, r, need=True),r
    return Fault('disk', command, f'{what} {n}', do)

def disks(world):
    "At every operation of every command: an error of the disk; and limits of the system"
    for c,n in operations(world).items():
        for k in range(1, n+1):
            for how in ('ENOSPC','EIO','EACCES','EROFS','EDQUOT','EMFILE'): yield at_operation(world, 'disk', c, k, how)
        for what,ns in LIMITS.items():
            for m in ns: yield limited(world, c, what, m)

# ---- damage: every file of the workspace × every operation × the commands that read it
def flip(b, rng): i = rng.randrange(len(b)); return b[:i]+bytes([b[i]^(1<<rng.randrange(8))])+b[i+1:]
BYTES = dict(flip=flip, flip_late=lambda b,r: b[:len(b)//2]+flip(b[len(b)//2:], r), cut=lambda b,r: b[:r.randrange(len(b))],
    empty=lambda b,r: b'', longer=lambda b,r: b+b'x'*r.choice((1,8,999)), zeros=lambda b,r: bytes(len(b)),
    noise=lambda b,r: r.randbytes(len(b)), twice=lambda b,r: b+b, bom=lambda b,r: b'\xef\xbb\xbf'+b,
    utf16=lambda b,r: b.decode('latin-1').encode('utf-16'))
VALUES = (None, True, -1, 0, 1.5, 1e308, 10**30, 'x', '', [], {}, [[]], [None], 'x'*9999, '../..', '\0', '\ud800', float('nan'))
READS = dict(collect=('tasks','base','zoo'), train=('tasks','base','enc','zoo','run','emb'),
    generate=('enc','run','prompts.txt'), evaluate=('tasks','base','enc','zoo','run','emb'), verify=('run',),
    doctor=('tasks','base','enc','zoo','run','emb','evaluation.json'), use=('base','gen','examples.jsonl'),
    imported=('theirs','base'), demo=('demo',), study=('many',), bench=('bench',))
MADE = ('zoo','run','emb','demo','work','bench','imported') # what the package wrote itself; the rest is the user's
OUT = ('adapter','evaluation.json','report','mine','study.json')

def files_of(world, command):
    "The files that a command reads"
    def of(p): return [p] if p.is_file() else sorted(p.rglob('*'))
    return [p for t in READS[command] for p in of(world.ws/t) if p.is_file() and not p.name.startswith('.lock')]

def fields(x, at=()):
    "Every place in a JSON value; of a vocabulary or a long list the first few"
    yield at
    for k,v in (list(x.items())[:60 if len(x)<60 else 4] if isinstance(x, dict) else enumerate(x[:3]) if isinstance(x, list) else ()):
        yield from fields(v, (*at, k))

def put(x, at, v):
    "The value with another one at a place; `put` itself stands for: absent"
    if not at: return v
    x = dict(x) if isinstance(x, dict) else list(x)
    if v is put and len(at)==1: del x[at[0]]; return x
    x[at[0]] = put(x[at[0]], at[1:], v)
    return x

def damaged(world, command, rel, what, change, other_ok=False):
    "One file is changed, then the command runs"
    def do():
        with world.copy() as ws:
            p = ws/rel
            if change is None: p.unlink()
            else: p.write_bytes(change(p.read_bytes()))
            def theirs(): return {f:s for f,s in sums(ws).items() if f.split('/')[0] not in MADE+OUT}
            was = theirs()
            r = run(lambda: call(command), ws)
            o = world.judge(ws, command, r, other_ok=other_ok)
            return ('lost' if theirs()!=was else o),r
    return Fault('damage', command, f'{rel}: {what}', do)

def named(at, v): return f'{"/".join(map(str, at))} = {"absent" if v is put else ascii(v)[:20]}'
def json_bytes(x): return json.dumps(x).encode()
def resealed(x):
    "With the checksum that its new content has: as one writes who knows how"
    from dnd_nb.io.files import _json_sum
    if not isinstance(x, dict) or 'sha256' not in x: return x
    x = {k:v for k,v in x.items() if k!='sha256'}
    return x | dict(sha256=_json_sum(x))

def json_faults(world, c, p, rel):
    "Each field × each value, and absent; once more with a checksum that fits"
    x = json.loads(p.read_text(encoding='utf-8'))
    sealed = isinstance(x, dict) and 'sha256' in x
    for at in fields(x):
        for v in (*VALUES, put):
            if v is put and not at: continue
            def change(b, at=at, v=v): return json_bytes(put(json.loads(b), at, v))
            yield damaged(world, c, rel, named(at, v), change)
            if not sealed or at==('sha256',): continue
            def seal(b, at=at, v=v): return json_bytes(resealed(put(json.loads(b), at, v)))
            yield damaged(world, c, rel, named(at, v)+', sealed', seal, other_ok=True)

def row_faults(world, c, p, rel):
    "Each field of the second line of a JSONL file"
    ls = p.read_text(encoding='utf-8').splitlines()
    x = json.loads(ls[1])
    for at in fields(x):
        for v in (*VALUES, put):
            if v is put and not at: continue
            def change(b, at=at, v=v): return '\n'.join([ls[0], json.dumps(put(x, at, v)), *ls[2:]]).encode()
            yield damaged(world, c, rel, 'row 2: '+named(at, v), change, other_ok=True)

def head_faults(world, c, p, rel):
    "Each field of the header of a safetensors file, the values as they were"
    b = p.read_bytes()
    n = 8+int.from_bytes(b[:8], 'little')
    x = json.loads(b[8:n])
    def whole(x): h = json.dumps(x).encode(); return struct.pack('<Q', len(h))+h+b[n:]
    keys = [k for k in x if k!='__metadata__'][:2]
    places = [(),*((k,) for k in keys),*((k,f) for k in keys for f in x[k]),*((k,'shape',0) for k in keys if x[k]['shape']),
        *((k,'data_offsets',i) for k in keys for i in (0,1)), ('__metadata__',), *(('__metadata__',k) for k in x.get('__metadata__', {}))]
    for at in places:
        for v in (*VALUES, 'F16', put):
            if v is put and not at: continue
            yield damaged(world, c, rel, 'header '+named(at, v), lambda _,at=at,v=v: whole(put(x, at, v)), other_ok=True)

SUFFIX = {'.json':json_faults, '.jsonl':row_faults, '.safetensors':head_faults}
def damages(world):
    "Every file × every operation on its bytes × every field"
    rng = world.rng
    for c in READS:
        for p in files_of(world, c):
            rel,size = p.relative_to(world.ws).as_posix(),p.stat().st_size
            if p.name=='gen.sum': continue
            yield damaged(world, c, rel, 'removed', None)
            text = p.suffix in ('.txt','.jsonl','.csv','.md')
            for n,f in BYTES.items():
                s = rng.random()
                if size: yield damaged(world, c, rel, n, lambda b,f=f,s=s: f(b, random.Random(s)), other_ok=text)
            if f := SUFFIX.get(p.suffix): yield from f(world, c, p, rel)

# ---- limits: every option × values
OPTION_VALUES = ('-1', '0', '1', '1e309', 'nan', '', ' ', 'x', '../..', '2147483648', '-0.5', 'a,b', '1,,2', '\ud83d', '{}', '[', '/dev/null', 'x'*5000)
def options_of(command):
    "Names of a command's options"
    from fastcore.script import anno_parser
    acts = anno_parser(function_of(command).__wrapped__, 'x')._actions
    opts = [o.lstrip('-') for a in acts for o in a.option_strings[:1] if o not in ('-h','--pdb','--xtra')]
    return list(dict.fromkeys(opts))

def with_options(world, c, what, seconds=60, **more):
    def do():
        with world.copy(f'before_{c}') as ws:
            r = run(lambda: call(c, **more), ws, seconds)
            return world.judge(ws, c, r, other_ok=True),r
    return Fault('limits', c, what, do)

HUGE = ('999999999999', '1e308')
SIZES = ('rank','rows','at-once','hidden','batch','max-tokens','k','conditions','jobs','n-tasks','most')
def limits(world):
    "Each option with values that it should not have, one and two at a time; places with other things in them"
    for c in ORDER:
        opts = options_of(c)
        for o in opts:
            more = HUGE if o.replace('_','-') in SIZES else ()
            for v in (*OPTION_VALUES, *more, None): yield with_options(world, c, f'--{o} {ascii(v)[:24]}', **{o.replace('-','_'):v})
        for a,b in ((a,b) for i,a in enumerate(opts) for b in opts[i+1:]):
            v,w = world.rng.choice(OPTION_VALUES),world.rng.choice(OPTION_VALUES)
            yield with_options(world, c, f'--{a} {ascii(v)[:24]} --{b} {ascii(w)[:24]}', **{a.replace('-','_'):v, b.replace('-','_'):w})
        if c in ('generate','evaluate','verify','doctor','use'):
            for v in (*OPTION_VALUES, 'tasks', 'zoo', 'base', 'thesis.txt', 'enc', 'adapter', '.', '-'):
                yield with_options(world, c, f'first place {ascii(v)[:24]}', **{'':v})

# ---- foreign: what others wrote where a command would write
def thesis(p): p.mkdir(parents=True, exist_ok=True); (p/'thesis.txt').write_text(THESIS); return [p/'thesis.txt']
def as_file(p): p.write_text(THESIS); return [p]
def as_link(p):
    to = p.parent/'elsewhere'
    to.mkdir(); (to/'thesis.txt').write_text(THESIS); p.symlink_to(to)
    return [to/'thesis.txt']
def dangling(p): p.symlink_to(p.parent/'nowhere'); return []
def hard(p): (p.parent/'other.txt').write_text(THESIS); os.link(p.parent/'other.txt', p); return [p.parent/'other.txt']
def holding(*names):
    "A folder with files of others, of these names"
    def f(p):
        fs = [p/n for n in names]
        for x in fs: x.parent.mkdir(parents=True, exist_ok=True); x.write_text(THESIS)
        return fs
    return f
OTHERS = ('state/thesis.txt','parts/thesis.json','manifest.json','config.json','selected.json','generator.safetensors',
    'adapter_config.json','adapter_model.safetensors','add/step_00002/thesis.txt','add/prompts.json','multitask/thesis.txt',
    'state/state.safetensors','panel.csv','.dnd_nb.json','log.jsonl','report.json','report.md','figures/thesis.txt',
    'run/config.json','tasks/thesis.train.jsonl','tasks/families.json','zoo/manifest.json','times.json','decision.json',
    'README.md','bench-cpu.json','.lock.json','adapters/previous_number/thesis.txt','oracle/manifest.json')
WAYS = dict(folder=thesis, file=as_file, link=as_link, dangling=dangling, hard_link=hard) | {n:holding(n) for n in OTHERS}
PLACES = dict(WRITES, study_work=('work','work'))
TARGETS = ('.','..','tasks','zoo','base','thesis.txt','run','run/state','zoo/add','nowhere/deep/er','x'*300,'enc','/dev/null',
    '/dev/full','tasks/new','base/model.safetensors','thesis.txt/x','~','','adapter','a\nb','examples.jsonl')

def foreign(world):
    "Files of others where a command would write, and places that are somebody's"
    for name,(o,_) in PLACES.items():
        c = name.split('_')[0]
        for w,make in WAYS.items(): yield beside_theirs(world, c, o, w, make)
        for t in TARGETS: yield into(world, c, o, t)

def beside_theirs(world, c, o, w, make):
    def do():
        with world.copy(f'before_{c}') as ws:
            fs = make(ws/'my own')
            r = run(lambda: call(c, **{o:'my own'}), ws)
            res = world.judge(ws, c, r, other_ok=True)
            gone = [f for f in fs if not f.exists() or f.read_bytes()!=THESIS.encode()]
            return ('lost' if gone else res),r
    return Fault('foreign', c, f'--{o}: {w} where it would write', do)

REPLACED = dict(train=('run',), use=('adapter','mine'), generate=('adapter','mine')) # what a command wrote before, it may replace, as its help says

def into(world, c, o, target):
    def mine(f): return not f.startswith('zoo/manifest') and '.lock' not in f
    def do():
        with world.copy(f'before_{c}') as ws:
            was = sums(ws)
            r = run(lambda: call(c, **{o:target}), ws)
            res,now = world.judge(ws, c, r, other_ok=True),sums(ws)
            if target in REPLACED.get(c, ()) or c==target: return res,r
            return ('lost' if any(now.get(f)!=s for f,s in was.items() if mine(f)) else res),r
    return Fault('foreign', c, f'--{o} {ascii(target)[:24]}', do)

# ---- hostile: code, links, pipes, names
EVIL = 'import pathlib; pathlib.Path("PWNED").write_text("x")\n'
def edit(p, **kw): p.write_text(json.dumps(json.loads(p.read_text()) | kw))
def base_code(ws):
    (ws/'base/evil.py').write_text(EVIL)
    edit(ws/'base/config.json', auto_map=dict(AutoConfig='evil.C', AutoModelForCausalLM='evil.M'))
def base_type(ws): base_code(ws); edit(ws/'base/config.json', model_type='evil')
def base_hub(ws): edit(ws/'base/config.json', auto_map=dict(AutoConfig='someone/evil--evil.C', AutoModelForCausalLM='someone/evil--evil.M'))
def base_generate(ws):
    (ws/'base/custom_generate').mkdir(); (ws/'base/custom_generate/generate.py').write_text(EVIL+'def generate(*a, **k): 1/0\n')
def base_kernel(ws): edit(ws/'base/config.json', _attn_implementation='someone/evil', attn_implementation='someone/evil')
def base_quant(ws): edit(ws/'base/config.json', quantization_config=dict(quant_method='evil', load_in_4bit=True))
def base_adapter_in_config(ws): edit(ws/'base/config.json', base_model_name_or_path='someone/other')
def base_template(ws):
    edit(ws/'base/tokenizer_config.json', chat_template="{{ ''.__class__.__mro__[1].__subclasses__() }}")
def tok_code(ws):
    (ws/'base/evil.py').write_text(EVIL)
    edit(ws/'base/tokenizer_config.json', auto_map=dict(AutoTokenizer=['evil.T','evil.T']), tokenizer_class='T')
def tok_file(ws): edit(ws/'base/tokenizer_config.json', tokenizer_file='../../thesis.txt', vocab_file='/etc/passwd')
def enc_type(ws):
    for f in ('enc/evil.py','evil.py'): (ws/f).write_text(EVIL)
    m = json.loads((ws/'enc/modules.json').read_text()); m[0]['type'] = 'evil.Transformer'
    (ws/'enc/modules.json').write_text(json.dumps(m))
def enc_path(ws):
    m = json.loads((ws/'enc/modules.json').read_text()); m[-1]['path'] = '../base'
    (ws/'enc/modules.json').write_text(json.dumps(m))
def enc_auto(ws):
    (ws/'enc/evil.py').write_text(EVIL); edit(ws/'enc/config.json', auto_map=dict(AutoModel='evil.M'), model_type='evil')
def enc_router(ws):
    m = json.loads((ws/'enc/modules.json').read_text())
    m.append(dict(idx=2, name='2', path='2_Router', type='sentence_transformers.models.Router'))
    (ws/'enc/modules.json').write_text(json.dumps(m)); (ws/'enc/2_Router').mkdir(); (ws/'evil.py').write_text(EVIL)
    (ws/'enc/2_Router/router_config.json').write_text(json.dumps(dict(types=dict(a='evil.X'), structure=dict(query=['a']))))
def dense(ws):
    m = json.loads((ws/'enc/modules.json').read_text())
    m.append(dict(idx=2, name='2', path='2_Dense', type='sentence_transformers.models.Dense'))
    c = dict(in_features=16, out_features=16, bias=True, activation_function='os.system')
    (ws/'enc/modules.json').write_text(json.dumps(m)); (ws/'enc/2_Dense').mkdir()
    (ws/'enc/2_Dense/config.json').write_text(json.dumps(c))
def poison():
    import pickle
    class P:
        def __reduce__(self): return (os.system, ('touch PWNED',))
    return pickle.dumps(P())
def pickled(ws):
    for d in ('base','enc'): (ws/d/'model.safetensors').unlink(); (ws/d/'pytorch_model.bin').write_bytes(poison())
def pickled_adapter(ws): (ws/'theirs/adapter_model.safetensors').unlink(); (ws/'theirs/adapter_model.bin').write_bytes(poison())
def pickled_delta(ws):
    import numpy as np
    for f in (ws/'zoo').rglob('delta.npy'): np.save(f, np.array([dict(a=1)], dtype=object), allow_pickle=True)
def pickled_generator(ws): (ws/'gen/generator.safetensors').write_bytes(poison()); (ws/'run/generator.safetensors').write_bytes(poison())
def stray(ws): shutil.copytree(ws/'adapter', ws/'base', dirs_exist_ok=True)
def entry(ws, **kw):
    m = json.loads((ws/'zoo/manifest.json').read_text()); m['entries'][0].update(kw)
    (ws/'zoo/manifest.json').write_text(json.dumps(resealed(m)))
def path_out(ws): entry(ws, folder='../outside'); shutil.copytree(ws/'adapter', ws/'outside')
def task_out(ws): entry(ws, task='../tasks')
def absolute(ws): entry(ws, folder=str(ws/'adapter'))
def nul_entry(ws): entry(ws, folder='add\0')
def link_out(ws):
    f = next((ws/'zoo').glob('*/step_*')); shutil.move(f, ws/'elsewhere')
    edit(ws/'elsewhere/adapter_config.json', r=2); f.symlink_to(ws/'elsewhere')
def marker_out(ws):
    for d in ('adapter','mine'):
        m = json.loads((ws/d/'.dnd_nb.json').read_text()); m['files']['../thesis.txt'] = '0'*64
        (ws/d/'.dnd_nb.json').write_text(json.dumps(resealed(m)))
def index(ws, what):
    "A base in parts whose index points elsewhere"
    (ws/'base/model.safetensors').rename(ws/'base/part.safetensors')
    (ws/'base/model.safetensors.index.json').write_text(json.dumps(dict(metadata={}, weight_map={'model.norm.weight':what})))
INDEXES = dict(gone='gone.safetensors', folder='.', itself='model.safetensors.index.json', nul='a\0', deep='a/../part.safetensors', none=None,
    number=3, code='evil.py', far='/etc/passwd', empty='')
def index_out(ws): index(ws, '../adapter/adapter_model.safetensors')
def enc_index_pipe(ws):
    os.mkfifo(ws/'enc/pipe.safetensors'); (ws/'enc/model.safetensors').unlink()
    (ws/'enc/model.safetensors.index.json').write_text(json.dumps(dict(metadata={}, weight_map=dict(a='pipe.safetensors'))))
def index_pipe(ws): os.mkfifo(ws/'base/pipe.safetensors'); index(ws, 'pipe.safetensors')
ADAPTER = dict(target_modules='(a+)+$', auto_mapping=dict(base_model_class='evil', parent_library='evil'), r=10**9, lora_alpha=float('nan'),
    base_model_name_or_path='../../thesis.txt', rank_pattern={'(a+)+$':3}, alpha_pattern={'.*':-1}, modules_to_save=['lm_head','os'],
    layers_pattern='(x+x+)+y', peft_type='EVIL', task_type='os.system', use_rslora='yes', corda_config=dict(a=1), eva_config=dict(a=1),
    init_lora_weights='pissa_niter_999999999', layer_replication=[[0,10**7]], trainable_token_indices=[0,1], fan_in_fan_out='maybe',
    lora_bias=True, bias='all', use_dora=True, exclude_modules='.*', layers_to_transform=[0], megatron_config=dict(a=1), megatron_core='evil')
HOSTILE = dict(base_code=base_code, base_type=base_type, base_hub=base_hub, base_generate=base_generate, base_kernel=base_kernel,
    base_quant=base_quant, base_adapter_in_config=base_adapter_in_config, base_template=base_template, tok_code=tok_code, tok_file=tok_file,
    enc_type=enc_type, enc_path=enc_path, enc_auto=enc_auto, enc_router=enc_router, dense=dense, pickled=pickled, pickled_adapter=pickled_adapter,
    pickled_delta=pickled_delta, pickled_generator=pickled_generator, stray=stray, path_out=path_out, task_out=task_out, absolute=absolute,
    nul_entry=nul_entry, link_out=link_out, marker_out=marker_out, index_out=index_out, index_pipe=index_pipe, enc_index_pipe=enc_index_pipe) | {
    f'index {k}':lambda ws,v=v: index(ws, v) for k,v in INDEXES.items()} | {
    f'adapter {k}':lambda ws,k=k,v=v: edit(ws/'theirs/adapter_config.json', **{k:v}) for k,v in ADAPTER.items()}
FILES = ('tasks/add.train.jsonl','tasks/families.json','base/config.json','base/model.safetensors','base/tokenizer.json',
    'base/generation_config.json','enc/modules.json','enc/config.json','enc/model.safetensors','zoo/manifest.json','run/config.json',
    'run/selected.json','run/generator.safetensors','run/state/state.safetensors','run/log.jsonl','prompts.txt','examples.jsonl',
    'zoo/add/prompts.json','zoo/add/step_00004/adapter_config.json','zoo/add/step_00004/adapter_model.safetensors',
    'zoo/add/step_00004/delta.npy','gen/generator.safetensors','theirs/adapter_config.json','theirs/adapter_model.safetensors',
    'theirs/prompts.json','demo/report.json','demo/times.json','demo/generator/generator.json','evaluation.json','.lock','zoo/.lock','zoo/.lock.json',
    'tasks/add.test.jsonl','zoo/multitask','run/state','emb','theirs/README.md','theirs/adapter_model-00001-of-00002.safetensors','theirs/probes.json',
    'theirs/delta.npy','gen/generator.json') + tuple(f'base/{n}' for n in ('tokenizer_config.json','special_tokens_map.json',
    'added_tokens.json','chat_template.jinja','additional_chat_templates/x.jinja','vocab.json','merges.txt','tokenizer.model','processor_config.json',
    'adapter_config.json','model.safetensors.index.json','pytorch_model.bin','manifest.json','README.md')) + tuple(f'enc/{n}' for n in (
    '1_Pooling/config.json','1_Pooling','tokenizer.json','tokenizer_config.json','config_sentence_transformers.json','sentence_bert_config.json',
    'model.safetensors.index.json','pytorch_model.bin','special_tokens_map.json','additional_chat_templates/x.jinja'))

def odd_file(n, how):
    "Something else in place of a file"
    def f(ws):
        p = ws/n
        p.parent.mkdir(exist_ok=True)
        if p.is_dir(): shutil.rmtree(p)
        p.unlink(missing_ok=True)
        if how=='pipe': os.mkfifo(p)
        elif how=='folder': p.mkdir()
        elif how=='loop': p.symlink_to(p)
        elif how=='socket': __import__('socket').socket(1).bind(os.path.relpath(p))
        else: p.symlink_to('/dev/'+how)
    return f

ROW = '{"prompt":"%s","answer":"b"}\n'
TEXTS = dict(bom='\ufeff'+ROW%'a', surrogate=ROW%'\\ud800', raw_surrogate=ROW%'\ud800', line_sep=ROW%'a\u2028b', nul=ROW%'a\\u0000b',
    deep='['*99999+'\n', long=ROW%('x'*10**6), not_utf8=None, crlf=(ROW%'a').replace('\n','\r\n'), list_='[1,2]\n',
    nan='{"prompt":"a","answer":NaN}\n', big='{"prompt":"a","answer":"b","choices":'+str(10**400)+'}\n', digits='1'*9999+'\n',
    same_keys='{"prompt":"a","prompt":"b","answer":"c"}\n', empty='', blank='\n\n \n', rtl=ROW%'\u202eabc', emoji=ROW%'👩‍👩‍👧',
    control=ROW%'\\u001b[2J', null='null\n', number='3\n', brace='{', template=ROW%'{answer} {0} {x.__class__}', special=ROW%'<s></s><|endoftext|>',
    no_answer='{"prompt":"a"}\n', empty_answer='{"prompt":"a","answer":""}\n', empty_prompt=ROW%'', choices_gone='{"prompt":"a","answer":"b","choices":["c","d"]}\n',
    choices_one='{"prompt":"a","answer":"b","choices":["b"]}\n', choices_same='{"prompt":"a","answer":"b","choices":["b","b"]}\n')
NAMES = ('../x','.x','state','parts','con','a b','x'*200,'a\nb',' ','é','a.','manifest.json','a|b','tasks','NUL.txt','a:b','\u202ex','.x.abc123-1-00000000')

def as_bytes(t): return b'\xff\xfe\x00' if t is None else t.encode('utf-8','surrogatepass')
def cases():
    "Name → what is done to a workspace"
    res = dict(HOSTILE)
    for n in FILES:
        for how in ('pipe','folder','loop','zero','null','full','socket'): res[f'{how} as {n}'] = odd_file(n, how)
    for n,t in TEXTS.items():
        res[f'rows {n}'] = lambda ws,t=t: (ws/'tasks/add.train.jsonl').write_bytes(as_bytes(t))
        res[f'test rows {n}'] = lambda ws,t=t: (ws/'tasks/add.test.jsonl').write_bytes(as_bytes(t))
        res[f'prompts {n}'] = lambda ws,t=t: (ws/'prompts.txt').write_bytes(as_bytes(t))
        res[f'examples {n}'] = lambda ws,t=t: (ws/'examples.jsonl').write_bytes(as_bytes(t)+as_bytes(ROW%'c'))
    for n in NAMES: res[f'task named {n[:12]!r}'] = lambda ws,n=n: rename_task(ws, n)
    return res

def rename_task(ws, n):
    with contextlib.suppress(OSError, ValueError):
        for p in ('train','test'): shutil.copy(ws/f'tasks/add.{p}.jsonl', ws/f'tasks/{n}.{p}.jsonl')

def plain(folder): # are all things in it files?
    return all(p.is_file() and not p.is_symlink() for p in folder.iterdir())

def concerns(c, n)->bool:
    "Could this case matter to this command?"
    reads = READS[c]
    if n in HOSTILE:
        top = {'base':'base','tok':'base','enc':'enc','dense':'enc','index':'base','stray':'base','adapter':'theirs'}.get(n.split('_')[0].split(' ')[0])
        return top is None or top in reads
    if ' as ' in n: f = n.split(' as ')[1].split('/')[0]; return f in reads or f.startswith('.')
    return {'rows':'tasks','test':'tasks','task':'tasks','prompts':'prompts.txt','examples':'examples.jsonl'}[n.split(' ')[0]] in reads

def hostile(world):
    "Code beside models, odd things in place of files, names and texts that break things"
    for n,f in cases().items():
        for c in ORDER:
            if c!='bench' and concerns(c, n): yield met(world, c, n, f)

def met(world, c, n, f):
    def do():
        with world.copy('whole') as ws:
            here = os.getcwd()
            try: os.chdir(ws); f(ws)
            finally: os.chdir(here)
            was = sums(ws/'tasks') if plain(ws/'tasks') else None
            r = run(lambda: call(c), ws, 60)
            o = world.judge(ws, c, r, other_ok=n.startswith(('rows','test','task','prompts','examples','adapter')))
            return ('lost' if was is not None and sums(ws/'tasks')!=was else o),r
    return Fault('hostile', c, n, do)

# ---- concurrent: two or three at once
PAIRS = [(c,c) for c in WHOLE] + [('collect','train'), ('train','evaluate'), ('collect','evaluate'), ('train','generate'), ('collect','doctor'),
    ('train','doctor'), ('evaluate','doctor'), ('collect','verify'), ('train','verify'), ('generate','use'), ('imported','collect'), ('demo','doctor'),
    ('collect','collect','collect'), ('train','train','train'), ('evaluate','evaluate','evaluate'), ('use','use','use'), ('collect','train','evaluate'), ('generate','generate','generate')]

def concurrent(world):
    "Commands that run at once, the later ones begun a little later each time"
    for cs in PAIRS:
        for i in range(10): yield at_once(world, cs, i)

def at_once(world, cs, i):
    def do():
        same = len(set(cs))==1
        with world.copy(f'before_{cs[0]}' if same else 'whole') as ws:
            ps = []
            for j,c in enumerate(cs):
                if j: time.sleep(world.rng.random()*.15*i)
                ps.append(start(lambda c=c: call(c), ws))
            rs = [ended(*p, 120) for p in ps]
            for c,r in zip(cs, rs):
                if r.rc and not r.hung and 'writes there' in r.err: continue # told who holds it
                if (o := world.judge(ws, c, r, need=True))!='right': return o,r
            return ('right' if any(r.rc==0 for r in rs) else 'wrong'),rs[0]
    return Fault('concurrent', '+'.join(cs), f'start {i}', do)

MAKE = dict(kill=kills, damage=damages, hostile=hostile, foreign=foreign, concurrent=concurrent, disk=disks, limits=limits) | MORE
