"""Do the tests of a notebook notice a change of its code? `python tools/mutate.py nbs/io/files.ipynb --n 40`.

Each mutant changes one place of one exported cell: a comparison, an operator, a constant, a call, a statement.
`--listed` takes the mutations of `aimed.py` instead, which aim at what makes a result true.
The notebook runs with it, in a forked process. A test that fails has noticed; a mutant that nothing notices is listed."""
import ast, copy, csv, os, random, re, shutil, signal, sys, tempfile, time
from pathlib import Path
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
from fastcore.script import call_parse, Param, store_true
from nbdev.config import get_config
from refresh import flagged

SWAP = {ast.Lt:ast.LtE, ast.LtE:ast.Lt, ast.Gt:ast.GtE, ast.GtE:ast.Gt, ast.Eq:ast.NotEq, ast.NotEq:ast.Eq, ast.In:ast.NotIn, ast.NotIn:ast.In, ast.Is:ast.IsNot, ast.IsNot:ast.Is,
    ast.Add:ast.Sub, ast.Sub:ast.Add, ast.Mult:ast.Div, ast.Div:ast.Mult, ast.FloorDiv:ast.Div, ast.Mod:ast.Mult, ast.Pow:ast.Mult, ast.And:ast.Or, ast.Or:ast.And, ast.BitAnd:ast.BitOr, ast.BitOr:ast.BitAnd}
NAMES = dict(min='max', max='min', argmin='argmax', argmax='argmin', mean='sum', sum='mean', any='all', all='any', amin='amax', amax='amin', sorted='list', abs='float', log='exp', exp='log')

def places(tree):
    "(node, what to do with it) of every mutation of a cell"
    for n in ast.walk(tree):
        if isinstance(n, ast.Compare):
            for i,o in enumerate(n.ops):
                if type(o) in SWAP: yield n,f'ops{i}'
        elif isinstance(n, (ast.BinOp, ast.BoolOp)) and type(n.op) in SWAP: yield n,'op'
        elif isinstance(n, ast.UnaryOp) and isinstance(n.op, (ast.Not, ast.USub)): yield n,'bare'
        elif isinstance(n, ast.Constant) and isinstance(n.value, (bool,int,float)): yield n,'value'
        elif isinstance(n, (ast.If, ast.IfExp, ast.While)): yield n,'test'
        elif isinstance(n, ast.Name) and n.id in NAMES: yield n,'name'
        elif isinstance(n, ast.Attribute) and n.attr in NAMES: yield n,'attr'
        elif isinstance(n, ast.comprehension) and n.ifs: yield n,'ifs'
        elif isinstance(n, ast.Call) and n.keywords: yield n,'keyword'
        elif isinstance(n, ast.FunctionDef):
            for i,s in enumerate(n.body):
                if isinstance(s, (ast.Assign, ast.AugAssign)) or isinstance(s, ast.Expr) and isinstance(s.value, ast.Call): yield n,f'drop{i}'

def change(n, how):
    "Mutate a node in place"
    if how.startswith('ops'): i = int(how[3:]); n.ops[i] = SWAP[type(n.ops[i])]()
    elif how=='op': n.op = SWAP[type(n.op)]()
    elif how=='bare': n.op = ast.UAdd() if isinstance(n.op, ast.USub) else ast.Not(); n.operand = n.operand if isinstance(n.op, ast.UAdd) else ast.UnaryOp(ast.Not(), n.operand)
    elif how=='value': n.value = not n.value if isinstance(n.value, bool) else n.value+1
    elif how=='test': n.test = ast.UnaryOp(ast.Not(), n.test)
    elif how=='name': n.id = NAMES[n.id]
    elif how=='attr': n.attr = NAMES[n.attr]
    elif how=='ifs': n.ifs = [ast.UnaryOp(ast.Not(), n.ifs[0]), *n.ifs[1:]]
    elif how=='keyword': n.keywords = n.keywords[1:]
    elif how.startswith('drop'): n.body[int(how[4:])] = ast.Pass()

def line_of(src, tree, k):
    "Line and kind of mutation k"
    n,how = list(places(tree))[k]
    at = getattr(n.body[int(how[4:])] if how.startswith('drop') else n, 'lineno', 0)
    return how,src.split('\n')[at-1].strip()[:110] if at else ''

def mutate(src, k):
    "The source of a cell with mutation k"
    tree = ast.parse(src)
    change(*list(places(tree))[k])
    return '\n'.join(l for l in src.split('\n') if l.startswith('#|'))+'\n'+ast.unparse(ast.fix_missing_locations(tree))

def run(path, nb, cell, src, flags, seconds, say=False):
    "Did the notebook notice? Runs in a forked process"
    pid = os.fork()
    if pid:
        t0 = time.time()
        while True:
            p,st = os.waitpid(pid, os.WNOHANG)
            if p: return os.waitstatus_to_exitcode(st)!=0
            if time.time()-t0>seconds: os.killpg(pid, signal.SIGKILL); os.waitpid(pid, 0); return True
            time.sleep(.02)
    try:
        os.setsid(); os.chdir(Path(path).parent)
        os.environ['TMPDIR'] = tempfile.tempdir = tempfile.mkdtemp() # so that what a stopped notebook leaves can be removed
        told = os.dup(2)
        for fd in (1,2): os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
        if cell is not None: nb.cells[cell].source = src
        sh = CaptureShell(path=None)
        sh.run_all(nb, exc_stop=True, preproc=lambda c: c.cell_type!='code' or flagged(c, flags))
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
        if say and sh.exc: os.write(told, f'{path}: {sh.exc!r}\n'.encode())
        os._exit(bool(sh.exc))
    except BaseException: os._exit(1)

def exported(nb):
    "Numbers of the exported cells without imports"
    def ok(s): return re.match(r'#\| export', s) and not re.search(r'^(import|from) ', s, re.M)
    return [i for i,c in enumerate(nb.cells) if c.cell_type=='code' and ok(c.source)]

def drawn(nb, n, seed, lines):
    "n mutants, drawn: (cell, its new source, kind, line)"
    muts = [(i,k) for i in exported(nb) for k in range(len(list(places(ast.parse(nb.cells[i].source)))))]
    def line(i, k): return line_of(nb.cells[i].source, ast.parse(nb.cells[i].source), k)
    if lines: muts = [m for m in muts if re.search(lines, line(*m)[1])]
    some = random.Random(seed).sample(muts, min(n, len(muts)))
    return [(i, mutate(nb.cells[i].source, k), *line(i, k), f'{nb.cells[i].id}/{k}') for i,k in some]

def aimed(nb, lines=''):
    "Mutants of the list `aimed.py` that are of this notebook"
    from aimed import AIMED
    res = []
    for what,old,new in AIMED:
        at = [i for i,c in enumerate(nb.cells) if c.cell_type=='code' and c.source.startswith('#| export') and old in c.source]
        if re.search(lines, what): res += [(i, nb.cells[i].source.replace(old, new), 'aimed', what, '') for i in at[:1]]
    return res

def lost(paths):
    "Aimed mutations whose text is in no notebook any more"
    from aimed import AIMED
    there = {m[3] for p in paths for m in aimed(read_nb(p))}
    return [what for what,*_ in AIMED if what not in there]

COLUMNS = ('notebook','mutation','line','place','seed','outcome') # place: the cell, and the number of the mutation in it
def read_rows(out):
    "What was tried: (notebook, mutation, line, place) → (seed, outcome)"
    if not out or not Path(out).exists(): return {}
    with open(out, encoding='utf-8', newline='') as f: rows = list(csv.DictReader(f))
    return {tuple(r.get(c) or '' for c in COLUMNS[:4]):(r.get('seed') or '', r['outcome']) for r in rows}

def write_rows(out, rows):
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    table = sorted((*k,*v) for k,v in rows.items())
    with open(out, 'w', newline='', encoding='utf-8') as f: csv.writer(f, lineterminator='\n').writerows([COLUMNS, *table])

sys.argv[1:] = ['--go_on' if a=='--go-on' else a for a in sys.argv[1:]] # as other commands read it

@call_parse
def main(
    paths:Param('Notebooks, as nbs/io/files.ipynb or io/files; with --listed all if none', str, nargs='*'),
    n:int=40, # mutants of each, drawn
    seed:int=0,
    out:str='', # CSV to add to, e.g. results/faults/mutation.csv; with --go-on what is there and was noticed is not tried again
    lines:str='', # only lines, or with --listed names, that match this regular expression
    listed:store_true=False, # the mutations of aimed.py instead of drawn ones
    go_on:store_true=False, # skip what is in the CSV and was noticed
    seconds:float=0, # begin nothing after so long; 0: no limit
):
    "Mutate exported cells and count what the tests of the same notebook notice"
    import torch, transformers, peft, pandas # loaded once, for all forks
    torch.set_num_threads(1)
    flags,rows,t1 = set(get_config().tst_flags.split()),read_rows(out),time.time()
    every = sorted(str(p) for p in Path('nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in str(p))
    if listed and (gone := lost(every)):
        sys.exit(f'{len(gone)} mutations of aimed.py match no exported cell (aim them anew): {"; ".join(gone)}')
    paths = [p if p.endswith('.ipynb') else f'nbs/{p}.ipynb' for p in paths] or every
    if listed and out: # what is not on the list any more is not in the table
        now = {(p,*m[2:]) for p in every for m in aimed(read_nb(p))}
        rows = {k:v for k,v in rows.items() if k[1]!='aimed' or k in now}
    for p in paths:
        nb = read_nb(p)
        todo = aimed(nb, lines) if listed else drawn(nb, n, seed, lines)
        if go_on: todo = [m for m in todo if rows.get((p,*m[2:]), ('',''))[1]!='noticed']
        if not todo or seconds and time.time()-t1>seconds: continue
        t0 = time.time()
        if run(p, copy.deepcopy(nb), None, '', flags, 900, say=True): print(f'{p}: its tests fail as it is', flush=True); continue
        base,seen = time.time()-t0,0
        for i,src,how,line,place in todo:
            if seconds and time.time()-t1>seconds: break
            ok = run(p, copy.deepcopy(nb), i, src, flags, 3*base+20)
            seen += ok
            rows[p,how,line,place] = '' if listed else seed,'noticed' if ok else 'survived'
            if not ok: print(f'survived {p} {how}: {line}', flush=True)
            if out: write_rows(out, rows)
        print(f'{p}: {seen} of {len(todo)} noticed ({base:.1f} s a run)', flush=True)
